identification division.
program-id. stderr-too.
procedure division.
    display "to stdout".
    display "to stderr" upon syserr.
    stop run returning 3.
