public class Streams {
    public static void main(String[] arguments) {
        System.out.println("to stdout");
        System.err.println("to stderr");
        System.exit(3);
    }
}
