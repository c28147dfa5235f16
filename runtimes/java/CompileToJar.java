import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.source.util.JavacTask;
import com.sun.source.util.TaskEvent;
import com.sun.source.util.TaskListener;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import javax.lang.model.element.ExecutableElement;
import javax.lang.model.element.Modifier;
import javax.lang.model.element.TypeElement;
import javax.lang.model.type.TypeKind;
import javax.lang.model.util.ElementFilter;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/**
 * Compiles one source file to a jar that {@code java -jar} runs: {@code CompileToJar SOURCE JAR}.
 *
 * <p>The first class of the file that has a main method, or its public class if that has one, is
 * where the program begins. Sources, classes and jars in the working directory can be used.
 */
public final class CompileToJar {
    private static final List<String> OPTIONS =
            List.of("-encoding", "UTF-8", "-proc:none", "-cp", ".:*");
    private static final Set<Modifier> OF_MAIN = Set.of(Modifier.PUBLIC, Modifier.STATIC);

    public static void main(String[] arguments) throws IOException {
        System.exit(compile(Path.of(arguments[0]).toAbsolutePath(), Path.of(arguments[1])) ? 0 : 1);
    }

    private static boolean compile(Path source, Path jar) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        PrintWriter errors = new PrintWriter(System.err, true, UTF_8);
        var files = compiler.getStandardFileManager(null, null, UTF_8);
        var classes = new ClassesInMemory(files);
        var task = (JavacTask) compiler.getTask(
                errors, classes, null, OPTIONS, null, files.getJavaFileObjects(source));
        var beginning = new Beginning(source, task);
        task.addTaskListener(beginning);
        if (!task.call()) {
            return false;
        }
        if (beginning.mainClass == null) {
            errors.println("error: no class has a method public static void main(String[])");
            return false;
        }
        classes.write(jar, beginning.mainClass);
        return true;
    }

    /** Finds the class that the program begins in, while the compiler still knows its classes. */
    private static final class Beginning implements TaskListener {
        private final Path source;
        private final JavacTask task;
        private String mainClass;

        Beginning(Path source, JavacTask task) {
            this.source = source;
            this.task = task;
        }

        @Override
        public void finished(TaskEvent event) {
            if (event.getKind() != TaskEvent.Kind.ANALYZE
                    || !Path.of(event.getSourceFile().toUri()).equals(source)) {
                return;
            }
            TypeElement type = event.getTypeElement();
            boolean preferred = mainClass == null || type.getModifiers().contains(Modifier.PUBLIC);
            if (preferred && hasMain(type)) {
                mainClass = task.getElements().getBinaryName(type).toString();
            }
        }

        private boolean hasMain(TypeElement type) {
            return ElementFilter.methodsIn(task.getElements().getAllMembers(type)).stream()
                    .anyMatch(Beginning::isMain);
        }

        private static boolean isMain(ExecutableElement method) {
            return method.getSimpleName().contentEquals("main")
                    && method.getModifiers().containsAll(OF_MAIN)
                    && method.getReturnType().getKind() == TypeKind.VOID
                    && method.getParameters().size() == 1
                    && method.getParameters().get(0).asType().toString().equals("java.lang.String[]");
        }
    }

    /** Keeps what is compiled until it is written. */
    private static final class ClassesInMemory extends ForwardingJavaFileManager<JavaFileManager> {
        private final Map<String, ByteArrayOutputStream> classes = new LinkedHashMap<>();

        ClassesInMemory(JavaFileManager files) {
            super(files);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            String path = name.replace('.', '/') + kind.extension;
            return new SimpleJavaFileObject(URI.create("memory:///" + path), kind) {
                @Override
                public OutputStream openOutputStream() {
                    return classes.computeIfAbsent(path, unused -> new ByteArrayOutputStream());
                }
            };
        }

        void write(Path jar, String mainClass) throws IOException {
            var manifest = new Manifest();
            Attributes attributes = manifest.getMainAttributes();
            attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
            attributes.put(Attributes.Name.MAIN_CLASS, mainClass);
            attributes.put(Attributes.Name.CLASS_PATH, inputs());
            try (var out = new JarOutputStream(Files.newOutputStream(jar), manifest)) {
                out.setLevel(0);
                for (var compiled : classes.entrySet()) {
                    out.putNextEntry(new ZipEntry(compiled.getKey()));
                    compiled.getValue().writeTo(out);
                    out.closeEntry();
                }
            }
        }

        /** The working directory and its jars. */
        private static String inputs() throws IOException {
            Path directory = Path.of("").toAbsolutePath();
            var places = new StringBuilder(directory.toUri().toString());
            try (DirectoryStream<Path> jars = Files.newDirectoryStream(directory, "*.jar")) {
                jars.forEach(jar -> places.append(' ').append(jar.toUri()));
            }
            return places.toString();
        }
    }
}
