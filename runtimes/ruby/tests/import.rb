require "json"
require "greeting"

puts JSON.generate(greeting: greet("world"))
