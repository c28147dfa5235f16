: copy ( file -- )
  begin
    dup pad 80 rot read-line throw
  while
    pad swap type cr
  repeat
  2drop ;

s" data.txt" r/o open-file throw copy
