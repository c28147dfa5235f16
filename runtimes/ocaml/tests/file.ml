let () =
  let file = open_in_bin "data.txt" in
  print_string (really_input_string file (in_channel_length file));
  close_in file
