let () =
  print_endline "started";
  while true do
    ()
  done
