echo "started"
stdout.flushFile()
while true:
  discard
