source greeting.tcl

puts [greet world]
