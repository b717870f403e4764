import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** The archives that fixtures read. Each needs one Deflater, which is ended. */
final class Archive {
    private Archive() {}

    /** A temporary file with compressed entries of these names. */
    static File of(String... names) throws IOException {
        File file = File.createTempFile("fixture", ".zip");
        file.deleteOnExit();
        ZipOutputStream out = new ZipOutputStream(new FileOutputStream(file));
        for (String name : names) {
            out.putNextEntry(new ZipEntry(name));
            out.write(new byte[4000]);
        }
        out.close();
        return file;
    }
}
