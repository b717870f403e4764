import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;

import net.lingala.zip4j.ZipFile;
import net.lingala.zip4j.model.ZipParameters;

/**
 * A call writes an archive with one entry, reads that through, and reads only its beginning; all is
 * closed.
 */
public final class Zip4jRoundTrip {
    private Zip4jRoundTrip() {}

    public static void main(String[] arguments) throws IOException {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            File file = new File("archive" + call + ".zip");
            try (ZipFile archive = new ZipFile(file)) {
                ZipParameters entry = new ZipParameters();
                entry.setFileNameInZip("entry");
                archive.addStream(new ByteArrayInputStream(new byte[100000]), entry);
                try (InputStream whole = archive.getInputStream(archive.getFileHeader("entry"))) {
                    int length = 0;
                    byte[] buffer = new byte[1000];
                    for (int count = whole.read(buffer); count > 0; count = whole.read(buffer)) {
                        length += count;
                    }
                    if (length != 100000) {
                        throw new IllegalStateException("came back changed: " + length);
                    }
                }
                try (InputStream beginning = archive.getInputStream(archive.getFileHeader("entry"))) {
                    beginning.read();
                }
            }
        }
    }
}
