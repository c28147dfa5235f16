import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDate;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.Scanner;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Uses what programs usually use; what it loads is in the archive of parsed classes. */
public class Training {
    sealed interface Shape permits Circle, Square {}

    record Circle(double radius) implements Shape {}

    record Square(double side) implements Shape {}

    enum Level { LOW, HIGH }

    static double area(Shape shape) {
        if (shape instanceof Circle circle) {
            return Math.PI * circle.radius() * circle.radius();
        }
        return shape instanceof Square square ? square.side() * square.side() : 0;
    }

    static <T extends Comparable<T>> T largest(List<T> values) {
        return values.stream().max(Comparator.naturalOrder()).orElseThrow();
    }

    public static void main(String[] arguments) throws Exception {
        language();
        collections();
        streams();
        files();
        threads();
        System.exit(arguments.length);
    }

    static void language() {
        String text = """
                several
                lines
                """;
        int answer = 42;
        System.out.println("text " + text.lines().count() + ", " + answer + ' ' + 1.5 + true + 'c');
        System.out.printf("%d %5.2f %s %x %n", answer, Math.E, Level.HIGH, 255);
        System.out.println(String.format("%-5s|%05d", "a", 7) + String.join(",", "a", "b"));
        System.out.println(new Circle(1) + " " + new Circle(1).equals(new Circle(1)) + area(new Square(2)));
        System.out.println(switch (Level.LOW) {
            case LOW -> "low";
            case HIGH -> "high";
        });
        switch (text.strip()) {
            case "one" -> System.err.println("one");
            default -> System.err.println("other");
        }
        try {
            Object nothing = null;
            nothing.hashCode();
        } catch (NullPointerException | IllegalStateException caught) {
            caught.printStackTrace();
        }
        System.out.println(new BigInteger("123456789").pow(5).mod(BigInteger.TEN));
        System.out.println(new BigDecimal("1.10").add(BigDecimal.ONE));
        System.out.println(new StringBuilder("abc").reverse().append(1).insert(0, 'x'));
        System.out.println(Pattern.compile("(\\w+)@(\\w+)").matcher("a@b").replaceAll("$2"));
        System.out.println(LocalDate.of(2024, 2, 29).plusDays(1) + " " + Duration.ofSeconds(61));
        System.out.println(System.getenv("HOME") + System.getProperty("user.dir") + System.nanoTime());
    }

    static void collections() {
        Map<String, Integer> counts = new LinkedHashMap<>();
        for (String word : "a b a".split(" ")) {
            counts.merge(word, 1, Integer::sum);
            counts.computeIfAbsent("c", key -> 3);
        }
        for (Map.Entry<String, Integer> entry : new TreeMap<>(counts).entrySet()) {
            System.out.println(entry.getKey() + "=" + entry.getValue());
        }
        List<Integer> numbers = new ArrayList<>(List.of(3, 1, 2));
        Collections.sort(numbers);
        numbers.sort(Comparator.comparing((Integer number) -> -number).thenComparing(Function.identity()));
        numbers.forEach(System.out::println);
        System.out.println(Arrays.toString(new int[] {1, 2}) + largest(numbers) + new HashSet<>(numbers));
        var queue = new PriorityQueue<>(numbers);
        var deque = new ArrayDeque<Integer>();
        while (!queue.isEmpty()) {
            deque.push(queue.poll());
        }
        System.out.println(deque + " " + Optional.of(1).map(one -> one + 1) + new Random(1).nextInt(9));
    }

    static void streams() {
        System.out.println(IntStream.rangeClosed(1, 5).mapToObj(Integer::toString).collect(Collectors.joining("+")));
        System.out.println(Stream.of("x", "yy", "zz").filter(text -> text.length() > 1).map(String::toUpperCase).toList());
        System.out.println(Stream.of("x", "yy", "zz").collect(Collectors.groupingBy(String::length, Collectors.counting())));
        System.out.println(IntStream.range(0, 10).boxed().mapToInt(Integer::intValue).summaryStatistics());
    }

    static void files() throws Exception {
        Path file = Files.createTempFile("training", ".txt");
        Files.writeString(file, "first\nsecond\n");
        Files.readAllLines(file, StandardCharsets.UTF_8).forEach(System.out::println);
        try (var reader = Files.newBufferedReader(file); var scanner = new Scanner(file)) {
            System.out.println(reader.readLine() + scanner.nextLine() + System.in.read());
        }
        Files.delete(file);
    }

    static void threads() throws Exception {
        var counter = new AtomicInteger();
        var pool = Executors.newFixedThreadPool(2);
        pool.submit(counter::incrementAndGet).get();
        pool.shutdown();
        Thread thread = new Thread(() -> System.out.println(counter.get()));
        thread.start();
        thread.join();
        System.out.println(CompletableFuture.supplyAsync(() -> 1).thenApply(one -> one + 1).get());
    }
}
