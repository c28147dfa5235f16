puts "#{STDIN.gets_to_end.bytesize} bytes"
