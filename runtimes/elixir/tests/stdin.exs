input = IO.read(:stdio, :all)
IO.puts("#{byte_size(input)} bytes")
