# Reaches the parts of the standard library that most programs use.
require "json"

record Item, name : String, price : Float64

items = [Item.new("a", 1.5), Item.new("b", 2)].sort_by(&.price)
totals = Hash(String, Int32).new(0)
ARGV.each { |word| totals[word] += 1 }
puts totals.map { |word, count| "#{word}: #{count}" }.join(", ")
puts items.sum(&.price).round(2), totals.to_json, (1..3).select(&.odd?).to_a.inspect
begin
  puts gets.try(&.strip.split.map(&.to_i).max?)
rescue error : ArgumentError
  STDERR.puts error.message
end
