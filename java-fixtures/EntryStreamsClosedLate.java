// Streams of an entry are closed by the finalizers of what reads them.
// expect: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, late 10
// expect on 8: inflater created 10, late any, live any, expected any; deflater created 1, ended 1; zip_entry created 10, late any, live any
// expect on Epsilon: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, live 10

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

public class EntryStreamsClosedLate {
    private static ZipFile file;

    private static final class Reader {
        private final InputStream stream;

        Reader() throws IOException {
            stream = file.getInputStream(file.getEntry("entry"));
        }

        @Override
        protected void finalize() throws IOException {
            stream.close();
        }
    }

    private static void read() throws IOException {
        System.out.println(new Reader().stream.read());
    }

    public static void main(String[] args) throws Exception {
        file = new ZipFile(archive());
        for (int i = 0; i < 10; i++) {
            read();
        }
    }

    private static File archive() throws IOException {
        File file = File.createTempFile("fixture", ".zip");
        file.deleteOnExit();
        ZipOutputStream out = new ZipOutputStream(new FileOutputStream(file));
        out.putNextEntry(new ZipEntry("entry"));
        out.write(new byte[4000]);
        out.close();
        return file;
    }
}
