import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.Manifest;
import org.jetbrains.kotlin.cli.common.ExitCode;
import org.jetbrains.kotlin.cli.common.messages.MessageRenderer;
import org.jetbrains.kotlin.cli.jvm.K2JVMCompiler;

/**
 * Compiles one source file to a jar that {@code java -jar} runs: {@code CompileKotlin SOURCE JAR}.
 *
 * <p>Kotlin's standard library is in the jar. Coroutines, full reflection, and the jars in the
 * working directory are found by their paths, where they are.
 */
public final class CompileKotlin {
    private static final Path HOME = Path.of("/opt/kotlin");
    private static final List<String> LIBRARIES =
            List.of("lib/kotlin-reflect.jar", "lib/kotlinx-coroutines-core-jvm.jar");

    public static void main(String[] arguments) throws IOException {
        Path jar = Path.of(arguments[1]).toAbsolutePath();
        List<Path> libraries = libraries();
        ExitCode ended = new K2JVMCompiler().exec(
                System.err,
                MessageRenderer.PLAIN_FULL_PATHS,
                "-kotlin-home", HOME.toString(),
                "-no-reflect",
                "-include-runtime",
                "-jvm-target", "17",
                "-cp", joined(libraries, ":"),
                "-d", jar.toString(),
                arguments[0]);
        if (ended == ExitCode.OK) {
            refer(jar, libraries);
        }
        System.exit(ended.getCode());
    }

    private static List<Path> libraries() throws IOException {
        var found = new ArrayList<Path>();
        LIBRARIES.forEach(library -> found.add(HOME.resolve(library)));
        Path inputs = Path.of("").toAbsolutePath();
        found.add(inputs);
        try (DirectoryStream<Path> jars = Files.newDirectoryStream(inputs, "*.jar")) {
            jars.forEach(found::add);
        }
        return found;
    }

    /** Adds `libraries` to what the program in `jar` is run with. */
    private static void refer(Path jar, List<Path> libraries) throws IOException {
        try (FileSystem files = FileSystems.newFileSystem(jar)) {
            Path file = files.getPath("META-INF/MANIFEST.MF");
            Manifest manifest;
            try (InputStream in = Files.newInputStream(file)) {
                manifest = new Manifest(in);
            }
            String places = joined(libraries.stream().map(Path::toUri).toList(), " ");
            manifest.getMainAttributes().put(Attributes.Name.CLASS_PATH, places);
            try (OutputStream out = Files.newOutputStream(file)) {
                manifest.write(out);
            }
        }
    }

    private static String joined(List<?> parts, String between) {
        return String.join(between, parts.stream().map(Object::toString).toList());
    }
}
