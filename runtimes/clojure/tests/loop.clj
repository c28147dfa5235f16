(println "started")
(loop []
  (recur))
