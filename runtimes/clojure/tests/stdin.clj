(println (count (slurp *in*)) "bytes")
