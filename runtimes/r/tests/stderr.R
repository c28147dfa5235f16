cat("to stdout\n")
message("to stderr")
quit(status = 3)
