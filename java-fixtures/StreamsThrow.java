// Streams whose constructor throws after it has created an instance: each is in a
// try-with-resources statement, and has nothing to close.
// expect: inflater created 2, collected 2; deflater created 3, ended 1, collected 2
// expect on 8: inflater created 2, late 2; deflater created 3, ended 1, late 2

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.jar.JarInputStream;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

public class StreamsThrow {
    public static void main(String[] args) throws IOException {
        gzipOut();
        jarOut();
        jarIn(damaged());
        zipIn();
        System.out.println("done");
    }

    private static void gzipOut() {
        try (GZIPOutputStream out = new GZIPOutputStream(new Full())) {
            throw new IllegalStateException("written: " + out);
        } catch (IOException expected) {
            System.out.println(expected.getMessage());
        }
    }

    private static void jarOut() {
        try (JarOutputStream out = new JarOutputStream(new Full(), new Manifest())) {
            throw new IllegalStateException("written: " + out);
        } catch (IOException expected) {
            System.out.println(expected.getMessage());
        }
    }

    private static void jarIn(byte[] jar) {
        try (JarInputStream in = new JarInputStream(new ByteArrayInputStream(jar))) {
            throw new IllegalStateException("read: " + in);
        } catch (IOException expected) {
            System.out.println("damaged");
        }
    }

    private static void zipIn() throws IOException {
        try (ZipInputStream in = new ZipInputStream(null)) {
            throw new IllegalStateException("null was taken: " + in);
        } catch (NullPointerException expected) {
            System.out.println("null");
        }
    }

    /** A jar with a manifest whose compressed bytes were changed. */
    private static byte[] damaged() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream out = new ZipOutputStream(bytes)) {
            out.putNextEntry(new ZipEntry("META-INF/MANIFEST.MF"));
            out.write(new byte[2000]);
        }
        byte[] jar = bytes.toByteArray();
        int data = 30 + "META-INF/MANIFEST.MF".length();
        for (int i = data + 2; i < data + 10; i++) {
            jar[i] = (byte) 0xff;
        }
        return jar;
    }

    private static final class Full extends OutputStream {
        @Override
        public void write(int b) throws IOException {
            throw new IOException("full");
        }
    }
}
