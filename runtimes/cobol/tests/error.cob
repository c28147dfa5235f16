identification division.
program-id. broken.
procedure division.
    display "never printed" to.
    stop run.
