puts "to stdout"
warn "to stderr"
exit 3
