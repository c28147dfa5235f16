: forever ( -- )
  begin again ;

." started" cr
stdout flush-file throw
forever
