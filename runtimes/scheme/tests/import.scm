(use-modules (greeting))
(load "again.scm")

(display (string-append (greet "world") ", " again "\n"))
