;; Uses what programs usually use; what it loads is in the archive of parsed classes.
(ns training
  (:require [clojure.edn :as edn]
            [clojure.java.io :as io]
            [clojure.pprint :refer [pprint]]
            [clojure.set :as set]
            [clojure.string :as string]
            [clojure.walk :as walk]))

(defrecord Point [x y])

(defprotocol Shape
  (area [shape]))

(extend-protocol Shape
  Point
  (area [_] 0))

(defmulti describe :kind)
(defmethod describe :default [thing] (str "unknown " thing))

(defmacro unless [test & body] `(if ~test nil (do ~@body)))

(defn fib
  ([n] (fib n 0 1))
  ([n a b] (if (zero? n) a (recur (dec n) b (+ a b)))))

(let [{:keys [a] :or {a 1} :as all} {:b 2}
      counter (atom 0)]
  (swap! counter inc)
  (println a all @counter (describe {:kind :x}) (area (->Point 1 2)))
  (doseq [n (range 5) :when (even? n)]
    (printf "%d %s%n" n (fib n)))
  (println (->> (range 20) (filter odd?) (map #(* % %)) (reduce +)))
  (println (string/join ", " (map string/upper-case ["a" "b"])) (set/union #{1} #{2}))
  (println (walk/keywordize-keys {"a" 1}) (edn/read-string "{:a [1 2.5M 3/4]}"))
  (pprint (group-by count ["a" "bb" "cc"]))
  (println (into (sorted-map) (frequencies "hello")) (loop [n 3] (if (pos? n) (recur (dec n)) n)))
  (println (for [x [1 2] y [3 4]] [x y]) (partition 2 (interleave [1 2] [3 4])) (format "%.2f" 1.5))
  (println (try (/ 1 0) (catch ArithmeticException error (.getMessage error)) (finally (println "done"))))
  (println @(future 42) @(delay 1) (some-> {:a {:b 1}} :a :b) (get-in {:a {:b 1}} [:a :b]) (re-seq #"\d+" "1 22"))
  (unless false (println (slurp (io/reader (.getBytes "text")))))
  (with-open [reader (io/reader *in*)]
    (println (count (line-seq reader))))
  (binding [*out* *err*] (println "to stderr"))
  (println (transduce (comp (map inc) (take 2)) conj [] (range)) (time (apply max [1 2]))))
(System/exit 0)
