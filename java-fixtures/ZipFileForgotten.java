// A ZipFile that is never closed: its finalizer or Cleaner ends the Inflater of its pool, because a
// GC happened.
// expect: inflater created 1, late 1; deflater created 1, ended 1; zip_entry created 3, ended 3
// expect on Epsilon: inflater created 1, live 1, expected 1; deflater created 1, ended 1; zip_entry created 3, ended 3
// frame: ZipFileForgotten.forget

import java.io.File;
import java.io.InputStream;
import java.util.zip.ZipFile;

public class ZipFileForgotten {
    public static void main(String[] args) throws Exception {
        File file = Archive.of("a", "b", "c");
        for (int size : forget(file)) {
            System.out.println(size);
        }
    }

    private static int[] forget(File file) throws Exception {
        ZipFile zip = new ZipFile(file);
        int[] sizes = new int[3];
        for (int i = 0; i < sizes.length; i++) {
            InputStream in = zip.getInputStream(zip.getEntry("abc".substring(i, i + 1)));
            sizes[i] = read(in);
            in.close();
        }
        return sizes;
    }

    private static int read(InputStream in) throws Exception {
        int size = 0;
        while (in.read() >= 0) {
            size++;
        }
        return size;
    }
}
