// Eight threads read entries of one ZipFile at the same time. Each forgets every tenth stream and
// closes the others, so that Inflaters pass from thread to thread.
// expect: inflater created any, live any, late any, expected any; deflater created 1, ended 1; zip_entry created 8000, ended 7200, late 800
// expect on 8: inflater created any, live any, late any, expected any; deflater created 1, ended 1; zip_entry created 8000, ended 7200, late any, live any
// expect on Epsilon: inflater created any, live any, expected any; deflater created 1, ended 1; zip_entry created 8000, ended 7200, live 800

import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipFile;

public class EntryStreamThreads {
    private static ZipFile file;

    private static void read(boolean close) throws IOException {
        InputStream stream = file.getInputStream(file.getEntry("entry"));
        if (stream.read() != 0) {
            throw new AssertionError("the entry has zeros");
        }
        if (close) {
            stream.close();
        }
    }

    public static void main(String[] args) throws Exception {
        file = new ZipFile(Archive.of("entry"));
        Thread[] threads = new Thread[8];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread("reader-" + i) {
                @Override
                public void run() {
                    try {
                        for (int n = 0; n < 1000; n++) {
                            read(n % 10 != 0);
                        }
                    } catch (IOException failed) {
                        throw new AssertionError(failed);
                    }
                }
            };
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("read");
    }
}
