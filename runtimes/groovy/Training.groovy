// Uses what programs usually use; what it loads is in the archive of parsed classes.
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import groovy.transform.Immutable
import groovy.xml.MarkupBuilder
import groovy.xml.XmlSlurper

@Immutable
class Point {
    int x, y
}

trait Named {
    String name = 'no name'
    String hello() { "hello $name" }
}

class Person implements Named {
    private int age
    Person plus(int years) { age += years; this }
    int getAge() { age }
}

enum Level { LOW, HIGH }

def fib(n) {
    n < 2 ? n : fib(n - 1) + fib(n - 2)
}

def numbers = [3, 1, 2]
println numbers.sort().collect { it * 2 }.findAll { it > 2 }.inject(0) { a, b -> a + b }
println "fib(${10}) = ${fib(10)} ${numbers.join(', ')} ${numbers*.toString()} ${new Point(1, 2)}"
def map = [a: 1, 'b': [2, 3]]
map.each { key, value -> println "$key: $value" }
println map.groupBy { it.value.class.simpleName }.keySet()
(1..3).each { print it }
10.times { print it }
println new Person(name: 'x').with { it + 3 }.age + ' ' + new Person().hello() + Level.LOW
println JsonOutput.prettyPrint(JsonOutput.toJson(map)) + new JsonSlurper().parseText('{"a": [1]}').a[0]
println new XmlSlurper().parseText('<a><b c="1"/></a>').b.@c
def writer = new StringWriter()
new MarkupBuilder(writer).list { item('one') }
println writer
def text = '''several
lines'''
text.eachLine { line -> if (line ==~ /\w+/) println line.toUpperCase() }
println((text =~ /(\w)ines/)[0][1] + (map?.none?.size() ?: 'none'))
switch (42) {
    case 1..10: println 'small'; break
    case Integer: println 'number'; break
    default: println 'other'
}
try {
    assert 1 == 2
} catch (AssertionError error) {
    System.err.println error.message
}
def file = File.createTempFile('training', '.txt')
file.text = 'one\ntwo\n'
println file.readLines() + System.getenv('HOME') + new Date(0).format('yyyy')
file.delete()
printf('%d %.2f%n', 1, 2.5)
println System.in.text.size() + [1, 2].sum() + "ls".execute().text.size()
System.exit 0
