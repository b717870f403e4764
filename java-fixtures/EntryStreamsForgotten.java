// Streams of an entry are read and never closed, and the ZipFile stays open. From JDK 9 on, a
// Cleaner gives the Inflaters back to the file's pool. On JDK 8 they have finalizers of their own,
// once a WeakHashMap of the file has dropped them: if it is late, not before it is used again.
// expect: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, late 10
// expect on 8: inflater created 10, late any, live any, expected any; deflater created 1, ended 1; zip_entry created 10, late any, live any
// expect on Epsilon: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, live 10
// frame: EntryStreamsForgotten.read
// says: close the stream that EntryStreamsForgotten.read() gets from ZipFile.getInputStream(); reading

import java.io.IOException;
import java.util.zip.ZipFile;

public class EntryStreamsForgotten {
    private static ZipFile file;

    private static int read() throws IOException {
        return file.getInputStream(file.getEntry("entry")).read();
    }

    public static void main(String[] args) throws Exception {
        file = new ZipFile(Archive.of("entry"));
        for (int i = 0; i < 10; i++) {
            System.out.println(read());
        }
    }
}
