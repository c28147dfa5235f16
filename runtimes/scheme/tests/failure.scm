(define (double x)
  (+ 1 (* 2 (car x))))

(display "before\n")
(display (double 3))
