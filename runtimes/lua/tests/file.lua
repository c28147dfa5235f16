for line in io.lines("data.txt") do
  print(line)
end
