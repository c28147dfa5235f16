BEGIN {
    print "never printed"
    if {
}
