(with-open-file (file "data.txt")
  (loop for line = (read-line file nil)
        while line
        do (write-line line)))
