(write-line "to stdout")
(write-line "to stderr" *error-output*)
(sb-ext:exit :code 3)
