fun main() {
    println("started")
    while (true) {
        Thread.onSpinWait()
    }
}
