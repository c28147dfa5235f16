echo "to stdout"
stderr.writeLine "to stderr"
quit 3
