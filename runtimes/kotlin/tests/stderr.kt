import kotlin.system.exitProcess

fun main() {
    println("to stdout")
    System.err.println("to stderr")
    exitProcess(3)
}
