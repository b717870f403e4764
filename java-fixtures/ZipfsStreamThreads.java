// Eight threads open zip file systems for the first time in the JVM at the same time, and read
// entries. Each keeps every tenth stream and closes the others. On JDK 8, the zip file system
// itself is loaded from an archive.
// expect: inflater created any, ended any, live any, expected any; deflater created 1, ended 1; zip_entry created 8000, ended 7200, live 800
// expect on 8: inflater created any, ended any, late any, live any, expected any; deflater created 1, ended 1; zip_entry created any, ended any, late any, live any, expected any

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CyclicBarrier;

public class ZipfsStreamThreads {
    private static final List<InputStream> STREAMS =
            Collections.synchronizedList(new ArrayList<InputStream>());

    private static void read(FileSystem archive, boolean close) throws IOException {
        InputStream stream = Files.newInputStream(archive.getPath("entry"));
        if (stream.read() != 0) {
            throw new AssertionError("the entry has zeros");
        }
        if (close) {
            stream.close();
        } else {
            STREAMS.add(stream);
        }
    }

    public static void main(String[] args) throws Exception {
        final File file = Archive.of("entry");
        final CyclicBarrier start = new CyclicBarrier(8);
        Thread[] threads = new Thread[8];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread("reader-" + i) {
                @Override
                public void run() {
                    try {
                        start.await();
                        FileSystem archive =
                                FileSystems.newFileSystem(file.toPath(), (ClassLoader) null);
                        for (int n = 0; n < 1000; n++) {
                            read(archive, n % 10 != 0);
                        }
                    } catch (Exception failed) {
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
