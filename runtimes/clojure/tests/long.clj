(dotimes [_ 100000]
  (println 123456789))
