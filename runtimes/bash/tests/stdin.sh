echo "$(wc -c) bytes"
