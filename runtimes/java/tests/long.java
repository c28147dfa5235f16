public class Lines {
    public static void main(String[] arguments) {
        for (int i = 0; i < 100_000; i++) {
            System.out.println(123456789);
        }
    }
}
