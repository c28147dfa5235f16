(println "to stdout")
(binding [*out* *err*]
  (println "to stderr"))
(System/exit 3)
