." to stdout" cr
s" to stderr" stderr write-line throw
3 (bye)
