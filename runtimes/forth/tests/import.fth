include greeting.fth

s" world" greet cr
