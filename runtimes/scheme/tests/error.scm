(display "never printed\n"
