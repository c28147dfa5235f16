#!/usr/bin/guile -s
!#
(display "as guile has it\n")
