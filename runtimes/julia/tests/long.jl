for _ in 1:100_000
    println(123456789)
end
