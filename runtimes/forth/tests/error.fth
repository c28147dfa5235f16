: unfinished ( -- )
  nonsense
