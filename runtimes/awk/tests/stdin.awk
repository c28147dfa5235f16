{ count += length($0) + 1 }
END { print count + 0, "bytes" }
