let () =
  for _ = 1 to 100_000 do
    print_endline "123456789"
  done
