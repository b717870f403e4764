// Everything is ended by the code that made it.
// expect: inflater created 5, ended 5; deflater created 5, ended 5

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class Ended {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 5; i++) {
            System.out.println("there and back: " + roundTrip(1000 * i));
        }
    }

    private static int roundTrip(int size) throws Exception {
        byte[] packed = new byte[100];
        Deflater deflater = new Deflater();
        Inflater inflater = new Inflater();
        try {
            deflater.setInput(new byte[size]);
            deflater.finish();
            inflater.setInput(packed, 0, deflater.deflate(packed));
            return inflater.inflate(new byte[size + 1]);
        } finally {
            deflater.end();
            inflater.end();
        }
    }
}
