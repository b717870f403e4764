import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

import net.lingala.zip4j.io.inputstream.ZipInputStream;

/** A call reads the first bytes of the one entry of an archive and closes the stream. */
public final class Zip4jClosedEarly {
    private Zip4jClosedEarly() {}

    public static void main(String[] arguments) throws IOException {
        byte[] archive = archive();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(archive))) {
                zip.getNextEntry();
                if (zip.read(new byte[10]) <= 0) {
                    throw new IllegalStateException("nothing came back");
                }
            }
        }
    }

    private static byte[] archive() throws IOException {
        ByteArrayOutputStream archive = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(archive)) {
            zip.putNextEntry(new ZipEntry("entry"));
            zip.write(new byte[100000]);
        }
        return archive.toByteArray();
    }
}
