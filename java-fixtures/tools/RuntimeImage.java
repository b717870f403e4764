// Writes every class file of this JVM's run-time image to stdout: of rt.jar on JDK 8, else of the
// `modules` file.
//
// Each class is its module ("" on 8) and its internal name (both modified UTF-8 with two bytes of
// length), a four-byte length, and its bytes. Two empty names and the number of classes mark the
// end, so that truncated output is noticed.

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

final class RuntimeImage {
    private static final String SUFFIX = ".class";
    private static DataOutputStream out;
    private static int count;

    public static void main(String[] args) throws IOException {
        out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16));
        File jar = new File(System.getProperty("java.home"), "lib/rt.jar");
        if (jar.exists()) {
            fromJar(jar);
        } else {
            fromModules();
        }
        out.writeUTF("");
        out.writeUTF("");
        out.writeInt(count);
        out.flush();
    }

    private static void fromJar(File jar) throws IOException {
        try (ZipFile zip = new ZipFile(jar)) {
            for (ZipEntry entry : Collections.list(zip.entries())) {
                if (entry.getName().endsWith(SUFFIX)) {
                    try (InputStream in = zip.getInputStream(entry)) {
                        write("", entry.getName(), readAll(in));
                    }
                }
            }
        }
    }

    private static void fromModules() throws IOException {
        Path modules = FileSystems.getFileSystem(URI.create("jrt:/")).getPath("/modules");
        List<Path> files;
        try (Stream<Path> walk = Files.walk(modules)) {
            files = walk.filter(file -> file.toString().endsWith(SUFFIX)).collect(Collectors.toList());
        }
        for (Path file : files) {
            // /modules/java.base/java/lang/Object.class
            Path name = file.subpath(2, file.getNameCount());
            write(file.getName(1).toString(), name.toString(), Files.readAllBytes(file));
        }
    }

    private static void write(String module, String file, byte[] bytes) throws IOException {
        out.writeUTF(module);
        out.writeUTF(file.substring(0, file.length() - SUFFIX.length()));
        out.writeInt(bytes.length);
        out.write(bytes);
        count++;
    }

    private static byte[] readAll(InputStream in) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        byte[] buffer = new byte[1 << 13];
        for (int read; (read = in.read(buffer)) > 0; ) {
            bytes.write(buffer, 0, read);
        }
        return bytes.toByteArray();
    }
}
