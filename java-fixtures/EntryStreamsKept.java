// Streams of an entry are open at the same time. Half of them are closed, by another thread; the
// others stay open.
// expect: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, ended 5, live 5

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.ZipFile;

public class EntryStreamsKept {
    private static final List<InputStream> STREAMS = new ArrayList<InputStream>();

    public static void main(String[] args) throws Exception {
        ZipFile file = new ZipFile(Archive.of("entry"));
        for (int i = 0; i < 10; i++) {
            STREAMS.add(file.getInputStream(file.getEntry("entry")));
        }
        Thread closes = new Thread("closes") {
            @Override
            public void run() {
                try {
                    for (int i = 0; i < 10; i += 2) {
                        STREAMS.get(i).close();
                    }
                } catch (IOException failed) {
                    throw new AssertionError(failed);
                }
            }
        };
        closes.start();
        closes.join();
        System.out.println(STREAMS.size() + " of " + file.size());
    }
}
