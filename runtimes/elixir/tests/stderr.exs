IO.puts("to stdout")
IO.puts(:stderr, "to stderr")
System.halt(3)
