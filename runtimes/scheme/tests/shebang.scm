#!/usr/bin/env guile
(display "as others have it\n")
