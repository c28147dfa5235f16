println "${System.in.bytes.length} bytes"
