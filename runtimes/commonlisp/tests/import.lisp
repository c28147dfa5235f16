(load "greeting.lisp")

(write-line (greet "world"))
