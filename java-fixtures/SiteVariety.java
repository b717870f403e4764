// One kind made in two lines and two classes of a method each: every stack is a site of its own.
// expect: inflater created 6, ended 3, collected 3; deflater created 3, ended 3
// expect on 8: inflater created 6, ended 3, late 3; deflater created 3, ended 3
// frame: SiteVariety.tidy
// frame: SiteVariety.sloppy

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class SiteVariety {
    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            tidy();
            sloppy();
        }
        System.out.println("done");
    }

    private static void tidy() {
        new Inflater().end();
        new Deflater().end();
    }

    private static void sloppy() {
        new Inflater().needsInput();
    }
}
