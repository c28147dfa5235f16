println(length(read(stdin)), " bytes")
