identification division.
program-id. utf8.
procedure division.
    display "Grüße, 世界 🌍".
    stop run.
