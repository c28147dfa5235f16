for {set i 0} {$i < 100000} {incr i} {
    puts 123456789
}
