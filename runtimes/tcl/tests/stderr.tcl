puts "to stdout"
puts stderr "to stderr"
exit 3
