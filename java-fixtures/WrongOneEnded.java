// close() ends its Inflater twice, and its Deflater never: a typical mistake.
// expect: inflater created 3, ended 3; deflater created 3, collected 3
// expect on 8: inflater created 3, ended 3; deflater created 3, late 3
// again: 3 WrongOneEnded.close
// says: WrongOneEnded.close() calls end() on an instance that is already ended, probably the wrong one; the Deflater

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class WrongOneEnded {
    private final Deflater packer;
    private final Inflater unpacker;

    private WrongOneEnded() {
        packer = new Deflater();
        unpacker = new Inflater();
    }

    private void close() {
        unpacker.end();
        unpacker.end();
    }

    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            new WrongOneEnded().close();
        }
        System.out.println("closed");
    }
}
