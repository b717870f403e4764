// Streams of an entry are closed by the finalizers of what reads them.
// expect: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, late 10
// expect on 8: inflater created 10, late any, live any, expected any; deflater created 1, ended 1; zip_entry created 10, late any, live any
// expect on Epsilon: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, live 10

import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipFile;

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
        file = new ZipFile(Archive.of("entry"));
        for (int i = 0; i < 10; i++) {
            read();
        }
    }
}
