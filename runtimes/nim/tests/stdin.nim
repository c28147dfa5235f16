echo stdin.readAll().len, " bytes"
