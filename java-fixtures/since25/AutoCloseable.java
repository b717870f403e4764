// try-with-resources: close() calls end(), so a closed one is an ended one, once.
// expect: inflater created 3, ended 3; deflater created 2, ended 2

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class AutoCloseable {
    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            try (Inflater inflater = new Inflater()) {
                System.out.println(inflater.needsInput());
            }
        }
        try (Deflater one = new Deflater(); Deflater two = new Deflater(1, true)) {
            two.close();
            System.out.println(one.needsInput());
        }
    }
}
