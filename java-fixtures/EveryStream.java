// Each of the JDK's streams, created and forgotten, each in a method of its own; a stream that was
// given its Inflater; a Deflater without a stream; and what is not gzip.
// expect: inflater created 7, ended 1, collected 6; deflater created 9, ended 3, collected 6
// expect on 8: inflater created 7, late 7; deflater created 9, ended 3, late 6
// expect on 11 17: inflater created 7, collected 7; deflater created 9, ended 3, collected 6

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.jar.JarInputStream;
import java.util.jar.JarOutputStream;
import java.util.zip.Deflater;
import java.util.zip.DeflaterInputStream;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;
import java.util.zip.InflaterOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

public class EveryStream {
    private static final byte[] PLAIN = new byte[100];

    public static void main(String[] args) throws IOException {
        byte[] gzip = gzipped();
        byte[] zlib = deflated();
        byte[] zip = zipped();
        gzipIn(gzip);
        gzipOut();
        inflaterIn(zlib);
        inflaterOut(zlib);
        deflaterIn();
        deflaterOut();
        zipIn(zip);
        zipOut();
        jarIn(zip);
        jarOut();
        given(zlib);
        direct();
        noGzip();
        System.out.println("done");
    }

    private static void gzipIn(byte[] gzip) throws IOException {
        new GZIPInputStream(new ByteArrayInputStream(gzip)).read();
    }

    private static void gzipOut() throws IOException {
        new GZIPOutputStream(new ByteArrayOutputStream()).finish();
    }

    private static void inflaterIn(byte[] zlib) throws IOException {
        new InflaterInputStream(new ByteArrayInputStream(zlib)).read();
    }

    private static void inflaterOut(byte[] zlib) throws IOException {
        new InflaterOutputStream(new ByteArrayOutputStream()).write(zlib);
    }

    private static void deflaterIn() throws IOException {
        new DeflaterInputStream(new ByteArrayInputStream(PLAIN)).read();
    }

    private static void deflaterOut() throws IOException {
        new DeflaterOutputStream(new ByteArrayOutputStream()).finish();
    }

    private static void zipIn(byte[] zip) throws IOException {
        new ZipInputStream(new ByteArrayInputStream(zip)).getNextEntry();
    }

    private static void zipOut() throws IOException {
        new ZipOutputStream(new ByteArrayOutputStream()).finish();
    }

    private static void jarIn(byte[] zip) throws IOException {
        new JarInputStream(new ByteArrayInputStream(zip)).getNextEntry();
    }

    private static void jarOut() throws IOException {
        new JarOutputStream(new ByteArrayOutputStream()).finish();
    }

    private static void given(byte[] zlib) throws IOException {
        new InflaterInputStream(new ByteArrayInputStream(zlib), new Inflater()).close();
    }

    private static void direct() {
        new Deflater().finish();
    }

    private static void noGzip() throws IOException {
        try {
            new GZIPInputStream(new ByteArrayInputStream(PLAIN)).read();
        } catch (IOException expected) {
            System.out.println("no gzip");
        }
    }

    private static byte[] gzipped() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
            out.write(PLAIN);
        }
        return bytes.toByteArray();
    }

    private static byte[] deflated() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DeflaterOutputStream out = new DeflaterOutputStream(bytes)) {
            out.write(PLAIN);
        }
        return bytes.toByteArray();
    }

    private static byte[] zipped() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream out = new ZipOutputStream(bytes)) {
            out.putNextEntry(new ZipEntry("entry"));
            out.write(PLAIN);
        }
        return bytes.toByteArray();
    }
}
