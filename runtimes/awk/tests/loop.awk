BEGIN {
    print "started"
    fflush()
    while (1) { }
}
