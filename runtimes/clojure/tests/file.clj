(print (slurp "data.txt"))
