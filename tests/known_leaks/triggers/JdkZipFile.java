import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * A call writes an archive of two entries and reads them at once through a ZipFile; all is closed.
 */
public final class JdkZipFile {
    private JdkZipFile() {}

    public static void main(String[] arguments) throws IOException {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            String file = "archive" + call + ".zip";
            try (ZipOutputStream zip = new ZipOutputStream(new FileOutputStream(file))) {
                for (String name : new String[] {"a", "b"}) {
                    zip.putNextEntry(new ZipEntry(name));
                    zip.write(new byte[1000]);
                }
            }
            try (ZipFile zip = new ZipFile(file);
                    InputStream a = zip.getInputStream(zip.getEntry("a"));
                    InputStream b = zip.getInputStream(zip.getEntry("b"))) {
                for (int count = 0; count < 1000; count++) {
                    if (a.read() != 0 || b.read() != 0) {
                        throw new IllegalStateException("came back changed");
                    }
                }
            }
        }
    }
}
