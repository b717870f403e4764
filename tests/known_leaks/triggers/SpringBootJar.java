import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.Enumeration;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * An executable jar of Spring Boot's, which is made and run here: a class of its own and one of a
 * nested jar. A call reads a resource and closes it, and forgets one Deflater.
 */
public final class SpringBootJar {
    private static final String[] LAUNCHERS = {
        "org/springframework/boot/loader/launch/JarLauncher", "org/springframework/boot/loader/JarLauncher"
    };

    private SpringBootJar() {}

    /** The application in the jar. */
    public static final class Application {
        private Application() {}

        public static void main(String[] arguments) throws Exception {
            Nested.use();
            for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
                try (InputStream in = Application.class.getResourceAsStream("/resource")) {
                    if (in.read() != 1) {
                        throw new IllegalStateException("not the resource");
                    }
                }
                new java.util.zip.Deflater().finish();
            }
        }
    }

    /** A class of a jar in the jar. */
    public static final class Nested {
        private Nested() {}

        static void use() {}
    }

    public static void main(String[] arguments) throws Exception {
        String launcher = launcher();
        File jar = File.createTempFile("zaudit", ".jar");
        jar.deleteOnExit();
        write(jar, launcher);
        // The launcher looks for its jar where its own class came from.
        ClassLoader platform = ClassLoader.getSystemClassLoader().getParent();
        URLClassLoader loader = new URLClassLoader(new URL[] {jar.toURI().toURL()}, platform);
        Class<?> main = loader.loadClass(launcher.replace('/', '.'));
        main.getMethod("main", String[].class).invoke(null, (Object) arguments);
    }

    private static String launcher() {
        for (String launcher : LAUNCHERS) {
            if (SpringBootJar.class.getResource("/" + launcher + ".class") != null) {
                return launcher;
            }
        }
        throw new IllegalStateException("no launcher");
    }

    private static void write(File jar, String launcher) throws IOException {
        URL of = SpringBootJar.class.getResource("/" + launcher + ".class");
        String file = of.getPath().substring("file:".length(), of.getPath().indexOf('!'));
        try (ZipOutputStream out = new ZipOutputStream(new FileOutputStream(jar));
                JarFile library = new JarFile(file)) {
            String manifest = "Manifest-Version: 1.0\nMain-Class: " + launcher.replace('/', '.')
                    + "\nStart-Class: SpringBootJar$Application\nSpring-Boot-Classes: BOOT-INF/classes/\n"
                    + "Spring-Boot-Lib: BOOT-INF/lib/\n\n";
            put(out, "META-INF/MANIFEST.MF", manifest.getBytes("UTF-8"));
            for (Enumeration<JarEntry> all = library.entries(); all.hasMoreElements(); ) {
                JarEntry entry = all.nextElement();
                if (entry.getName().startsWith("org/")) {
                    try (InputStream in = library.getInputStream(entry)) {
                        put(out, entry.getName(), bytes(in));
                    }
                }
            }
            put(out, "BOOT-INF/classes/", new byte[0]);
            put(out, "BOOT-INF/classes/resource", new byte[] {1, 1, 1, 1, 1, 1, 1, 1});
            put(out, "BOOT-INF/classes/" + Application.class.getName() + ".class", code(Application.class));
            put(out, "BOOT-INF/lib/", new byte[0]);
            ByteArrayOutputStream nested = new ByteArrayOutputStream();
            try (ZipOutputStream inner = new ZipOutputStream(nested)) {
                put(inner, Nested.class.getName() + ".class", code(Nested.class));
            }
            store(out, "BOOT-INF/lib/nested.jar", nested.toByteArray());
        }
    }

    private static void put(ZipOutputStream out, String name, byte[] bytes) throws IOException {
        out.putNextEntry(new ZipEntry(name));
        out.write(bytes);
        out.closeEntry();
    }

    /** A nested jar must not be compressed. */
    private static void store(ZipOutputStream out, String name, byte[] bytes) throws IOException {
        CRC32 crc = new CRC32();
        crc.update(bytes);
        ZipEntry entry = new ZipEntry(name);
        entry.setMethod(ZipEntry.STORED);
        entry.setSize(bytes.length);
        entry.setCrc(crc.getValue());
        out.putNextEntry(entry);
        out.write(bytes);
        out.closeEntry();
    }

    private static byte[] code(Class<?> of) throws IOException {
        try (InputStream in = of.getResourceAsStream("/" + of.getName() + ".class")) {
            return bytes(in);
        }
    }

    private static byte[] bytes(InputStream in) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
            all.write(buffer, 0, read);
        }
        return all.toByteArray();
    }
}
