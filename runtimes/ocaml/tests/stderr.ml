let () =
  print_endline "to stdout";
  prerr_endline "to stderr";
  exit 3
