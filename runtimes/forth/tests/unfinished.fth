." before" cr
: never-ended ( -- )
  ." never printed"
