for _ = 1, 100000 do
  print(123456789)
end
