(dotimes (i 100000)
  (write-line "123456789"))
