(use-modules (ice-9 textual-ports))

(display (string-length (get-string-all (current-input-port))))
(display " bytes\n")
