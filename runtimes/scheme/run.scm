;; Runs the program that the command line names, as guile -s does, but compiles each form before it
;; is evaluated. A shebang may end with `!#`, as guile wants it, or with its line, as others do.

(define-module (sandbox run)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 rdelim)
  #:use-module (ice-9 textual-ports)
  #:use-module (system base compile)
  #:use-module (system repl debug)
  #:use-module (system vm loader))

(define (opened file)
  (let* ((text (call-with-input-file file get-string-all #:encoding "UTF-8"))
         (port (open-input-string text)))
    ;; A name without a folder: what the program loads or includes is then looked for where it runs,
    ;; among the input files.
    (set-port-filename! port (basename file))
    (when (and (string-prefix? "#!" text) (not (string-contains text "!#")))
      (read-line port))
    port))

(define own-frames 3)  ; between the program's innermost frame and its backtrace

(define (depth)
  (stack-length (make-stack #t)))

(define (failed exception outer)
  (when (quit-exception? exception)
    (raise-exception exception))
  (force-output)
  (terminal-width 100)
  (let ((stack (make-stack #t own-frames outer))
        (port (current-error-port)))
    (when stack
      (display "Backtrace:\n" port)
      (display-backtrace stack port 0 (stack-length stack))
      (newline port))
    (print-exception port
                     (and stack (stack-ref stack 0))
                     (exception-kind exception)
                     (exception-args exception))
    (exit 1)))

(define (compiled form)
  (load-thunk-from-memory
   (compile form #:to 'bytecode #:env (current-module) #:optimization-level 1 #:warning-level 0)))

(define (run port)
  (let ((form (read-syntax port)))
    (unless (eof-object? form)
      ((compiled form))
      (run port))))

(set-program-arguments (cdr (command-line)))
(save-module-excursion
 (lambda ()
   (set-current-module (resolve-module '(guile-user)))
   (let ((outer (depth)))
     (with-exception-handler (lambda (exception) (failed exception outer))
       (lambda () (run (opened (car (command-line)))))))))
