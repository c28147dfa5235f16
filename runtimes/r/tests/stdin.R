bytes <- readBin(file("stdin", "rb"), "raw", 1000)
cat(length(bytes), "bytes\n")
