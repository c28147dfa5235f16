puts "never printed"
if
