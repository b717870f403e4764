import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

import net.lingala.zip4j.io.inputstream.ZipInputStream;

/** A call reads the one entry of an archive to its end and closes the stream. */
public final class Zip4jRead {
    private Zip4jRead() {}

    public static void main(String[] arguments) throws IOException {
        byte[] archive = archive();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(archive))) {
                zip.getNextEntry();
                int length = 0;
                byte[] buffer = new byte[1000];
                for (int count = zip.read(buffer); count > 0; count = zip.read(buffer)) {
                    length += count;
                }
                if (length != 5000) {
                    throw new IllegalStateException("came back changed: " + length);
                }
            }
        }
    }

    private static byte[] archive() throws IOException {
        ByteArrayOutputStream archive = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(archive)) {
            zip.putNextEntry(new ZipEntry("entry"));
            zip.write(new byte[5000]);
        }
        return archive.toByteArray();
    }
}
