source("greeting.R")

cat(greet("world"), "\n", sep = "")
