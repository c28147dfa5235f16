fun main() {
    repeat(100_000) {
        println(123456789)
    }
}
