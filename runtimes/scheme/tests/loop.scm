(display "started\n")
(force-output)
(let forever ()
  (forever))
