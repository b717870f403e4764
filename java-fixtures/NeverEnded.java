// Three Inflaters and two Deflaters are used and dropped; the program never calls end().
// expect: inflater created 3, collected 3; deflater created 2, collected 2
// expect on 8: inflater created 3, late 3; deflater created 2, late 2
// frame: NeverEnded.forget
// frame: NeverEnded.main

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class NeverEnded {
    public static void main(String[] args) throws Exception {
        byte[] packed = new byte[100];
        for (int i = 0; i < 2; i++) {
            System.out.println("packed into " + pack(packed));
        }
        for (int i = 0; i < 3; i++) {
            System.out.println("unpacked into " + forget(packed));
        }
    }

    private static int pack(byte[] packed) {
        Deflater deflater = new Deflater();
        deflater.setInput(new byte[1000]);
        deflater.finish();
        return deflater.deflate(packed);
    }

    private static int forget(byte[] packed) throws Exception {
        Inflater inflater = new Inflater();
        inflater.setInput(packed);
        return inflater.inflate(new byte[2000]);
    }
}
