fun main() {
    println("never printed"
}
