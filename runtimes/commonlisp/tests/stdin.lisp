(format t "~d bytes~%" (loop while (read-char *standard-input* nil) count t))
