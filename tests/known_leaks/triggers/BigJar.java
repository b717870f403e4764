import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;

/** A call reads the 1,000 entries of a jar through a class loader of its own, which is closed. */
public final class BigJar {
    private static final int ENTRIES = 1000;

    private BigJar() {}

    public static void main(String[] arguments) throws IOException {
        File jar = new File("big.jar");
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        try (JarOutputStream zip = new JarOutputStream(new FileOutputStream(jar), manifest)) {
            for (int entry = 0; entry < ENTRIES; entry++) {
                zip.putNextEntry(new ZipEntry("entry" + entry));
                zip.write(new byte[100]);
            }
        }
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            try (URLClassLoader loader = new URLClassLoader(new URL[] {jar.toURI().toURL()}, null)) {
                for (int entry = 0; entry < ENTRIES; entry++) {
                    try (InputStream stream = loader.getResourceAsStream("entry" + entry)) {
                        if (stream.read(new byte[200]) != 100) {
                            throw new IllegalStateException("came back changed");
                        }
                    }
                }
            }
        }
    }
}
