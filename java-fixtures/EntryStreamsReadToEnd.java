// Streams of an entry are read to their end, which does not give their Inflaters back.
// expect: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, late 10
// expect on 8: inflater created 10, late any, live any, expected any; deflater created 1, ended 1; zip_entry created 10, late any, live any
// expect on Epsilon: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, live 10

import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipFile;

public class EntryStreamsReadToEnd {
    private static ZipFile file;

    private static int read() throws IOException {
        InputStream stream = file.getInputStream(file.getEntry("entry"));
        int bytes = 0;
        while (stream.read() >= 0) {
            bytes++;
        }
        return bytes;
    }

    public static void main(String[] args) throws Exception {
        file = new ZipFile(Archive.of("entry"));
        for (int i = 0; i < 10; i++) {
            System.out.println(read());
        }
    }
}
