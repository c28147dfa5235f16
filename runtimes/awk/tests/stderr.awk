BEGIN {
    print "to stdout"
    print "to stderr" > "/dev/stderr"
    exit 3
}
