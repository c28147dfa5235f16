puts "started"
STDOUT.flush
loop do
end
