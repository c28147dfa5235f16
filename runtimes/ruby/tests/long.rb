100_000.times { puts 123456789 }
