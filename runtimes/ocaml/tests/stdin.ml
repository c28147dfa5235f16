let rec count bytes =
  match input_char stdin with
  | _ -> count (bytes + 1)
  | exception End_of_file -> bytes

let () = Printf.printf "%d bytes\n" (count 0)
