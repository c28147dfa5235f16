import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

public class ReadFile {
    public static void main(String[] arguments) throws IOException {
        System.out.print(Files.readString(Path.of("data.txt")));
    }
}
