print(read("data.txt", String))
