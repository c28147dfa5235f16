import java.io.IOException;

public class Input {
    public static void main(String[] arguments) throws IOException {
        System.out.println(System.in.readAllBytes().length + " bytes");
    }
}
