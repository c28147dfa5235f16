cat("started\n")
flush(stdout())
repeat {}
