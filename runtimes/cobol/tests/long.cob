identification division.
program-id. long-output.
procedure division.
    perform 100000 times
        display "123456789"
    end-perform.
    stop run.
