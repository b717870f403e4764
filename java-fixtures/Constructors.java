// Every public constructor once, each object ended: one creation each, however constructors
// delegate.
// expect: inflater created 2, ended 2; deflater created 3, ended 3

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class Constructors {
    public static void main(String[] args) {
        new Inflater().end();
        new Inflater(true).end();
        new Deflater().end();
        new Deflater(Deflater.BEST_SPEED).end();
        new Deflater(Deflater.BEST_COMPRESSION, true).end();
        System.out.println("five");
    }
}
