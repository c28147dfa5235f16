puts "to stdout"
STDERR.puts "to stderr"
exit 3
