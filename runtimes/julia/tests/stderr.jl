println("to stdout")
println(stderr, "to stderr")
exit(3)
