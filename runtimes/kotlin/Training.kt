// Uses what programs usually use; what the compiler loads for it is in its archive of parsed classes.

import java.io.File
import kotlin.math.sqrt
import kotlinx.coroutines.async
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking

sealed interface Shape {
    val area: Double
}

data class Circle(val radius: Double) : Shape {
    override val area get() = Math.PI * radius * radius
}

data class Square(val side: Double) : Shape {
    override val area by lazy { side * side }
}

enum class Level(val weight: Int) {
    LOW(1),
    HIGH(2);

    operator fun plus(other: Level) = weight + other.weight
}

object Registry {
    private val names = mutableMapOf<String, Int>()

    operator fun set(name: String, value: Int) {
        names[name] = value
    }

    fun all(): Map<String, Int> = names.toSortedMap()
}

abstract class Animal(protected val name: String) {
    abstract fun sound(): String

    open fun speak() = "$name says ${sound()}"
}

class Dog : Animal("Dog") {
    override fun sound() = "woof"

    companion object {
        const val LEGS = 4
    }
}

fun <T : Comparable<T>> List<T>.largest(): T? = if (isEmpty()) null else reduce { a, b -> if (a > b) a else b }

inline fun twice(action: (Int) -> Unit) = repeat(2) { action(it) }

tailrec fun gcd(a: Int, b: Int): Int = if (b == 0) a else gcd(b, a % b)

suspend fun slowly(value: Int): Int {
    delay(1)
    return value
}

fun describe(thing: Any?): String = when (thing) {
    null -> "nothing"
    is Circle -> "circle of ${"%.2f".format(thing.area)}"
    is Shape -> "shape of ${thing.area}"
    is Int, is Long -> "number"
    in listOf("a", "b") -> "letter"
    else -> thing.toString()
}

fun main(arguments: Array<String>) {
    val numbers = listOf(3, 1, 2).sortedByDescending { it }.filter { it > 1 }.map { it * 2 }
    println(numbers.joinToString(prefix = "[", postfix = "]") + numbers.largest() + numbers.sum())
    val (side) = Square(2.0)
    for (thing in arrayOf(Circle(1.0), Square(side), 1, "a", null)) println(describe(thing))
    twice { index -> Registry["name$index"] = index + Level.LOW.plus(Level.HIGH) }
    Registry.all().forEach { (name, value) -> println("$name = $value") }
    println(Dog().speak() + Dog.LEGS + gcd(12, 18) + sqrt(2.0))
    val text = """
        |several
        |lines
    """.trimMargin()
    println(text.lines().groupBy { it.length }.mapValues { it.value.size })
    val square: (Int) -> Int = { it * it }
    println(generateSequence(1) { it + 1 }.map(square).takeWhile { it < 50 }.toList())
    var count = 0
    while (true) {
        if (++count > 3) break
    }
    try {
        require(count < 0) { "count is $count" }
    } catch (error: IllegalArgumentException) {
        System.err.println(error.message ?: "no message")
    } finally {
        println(File(".").exists() && arguments.getOrNull(0)?.length == null)
    }
    runBlocking {
        val one = async { slowly(1) }
        println(one.await())
    }
}
