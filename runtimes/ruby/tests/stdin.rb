puts "#{$stdin.read.bytesize} bytes"
