: lines ( n -- )
  0 ?do ." 123456789" cr loop ;

100000 lines
