writeLines(readLines("data.txt"))
