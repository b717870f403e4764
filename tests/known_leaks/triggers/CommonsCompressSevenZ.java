import java.io.File;
import java.io.IOException;

import org.apache.commons.compress.archivers.sevenz.SevenZArchiveEntry;
import org.apache.commons.compress.archivers.sevenz.SevenZFile;
import org.apache.commons.compress.archivers.sevenz.SevenZMethod;
import org.apache.commons.compress.archivers.sevenz.SevenZOutputFile;

/**
 * A call writes a 7z archive with two deflated entries and reads them back; both files are closed.
 */
public final class CommonsCompressSevenZ {
    private CommonsCompressSevenZ() {}

    public static void main(String[] arguments) throws IOException {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            File file = new File("archive.7z");
            try (SevenZOutputFile archive = new SevenZOutputFile(file)) {
                archive.setContentCompression(SevenZMethod.DEFLATE);
                for (String name : new String[] {"a", "b"}) {
                    SevenZArchiveEntry entry = new SevenZArchiveEntry();
                    entry.setName(name);
                    archive.putArchiveEntry(entry);
                    archive.write(new byte[1000]);
                    archive.closeArchiveEntry();
                }
            }
            try (SevenZFile archive = new SevenZFile(file)) {
                int length = 0;
                while (archive.getNextEntry() != null) {
                    byte[] buffer = new byte[2000];
                    for (int count = archive.read(buffer); count > 0; count = archive.read(buffer)) {
                        length += count;
                    }
                }
                if (length != 2000) {
                    throw new IllegalStateException("came back changed: " + length);
                }
            }
        }
    }
}
