100_000.times {
    println 123456789
}
