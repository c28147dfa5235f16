: count-bytes ( -- n )
  0 begin
    pad 80 stdin read-file throw dup
  while
    +
  repeat
  drop ;

count-bytes 0 .r ."  bytes" cr
