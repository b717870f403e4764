// Three entry streams open at once and never closed: closing the ZipFile ends their Inflaters, and
// with them the streams.
// expect: inflater created 3, ended 3; deflater created 1, ended 1; zip_entry created 3, ended 3, ended_with_file 3

import java.io.InputStream;
import java.util.zip.ZipFile;

public class ZipFileStreamsOpen {
    public static void main(String[] args) throws Exception {
        ZipFile zip = new ZipFile(Archive.of("a", "b", "c"));
        InputStream[] open = new InputStream[3];
        for (int i = 0; i < open.length; i++) {
            open[i] = zip.getInputStream(zip.getEntry("abc".substring(i, i + 1)));
            System.out.println("first byte " + open[i].read());
        }
        zip.close();
        for (InputStream in : open) {
            System.out.println(isClosed(in));
        }
    }

    private static String isClosed(InputStream in) {
        try {
            return "still reads " + in.read();
        } catch (java.io.IOException closed) {
            return "closed";
        }
    }
}
