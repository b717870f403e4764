import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

import org.zeroturnaround.zip.ZipEntryCallback;
import org.zeroturnaround.zip.ZipUtil;

/** A call has all entries of an archive visited, and closes the stream that it gave. */
public final class ZtZipIterate {
    private ZtZipIterate() {}

    public static void main(String[] arguments) throws IOException {
        byte[] archive = archive();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            AtomicInteger entries = new AtomicInteger();
            try (InputStream stream = new ByteArrayInputStream(archive)) {
                ZipUtil.iterate(stream, new ZipEntryCallback() {
                    @Override
                    public void process(InputStream content, ZipEntry entry) {
                        entries.incrementAndGet();
                    }
                });
            }
            if (entries.get() != 2) {
                throw new IllegalStateException("visited " + entries);
            }
        }
    }

    private static byte[] archive() throws IOException {
        ByteArrayOutputStream archive = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(archive)) {
            for (String name : new String[] {"one", "two"}) {
                zip.putNextEntry(new ZipEntry(name));
                zip.write(new byte[100]);
            }
        }
        return archive.toByteArray();
    }
}
