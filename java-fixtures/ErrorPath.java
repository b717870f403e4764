// An error path: 9,998 of 10,000 are ended; two bad inputs throw before end() is called.
// expect: inflater created 10_000, ended 9_998, collected 2
// expect on 8: inflater created 10_000, ended 9_998, late 2

import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

public class ErrorPath {
    public static void main(String[] args) {
        byte[] good = {120, -100, 3, 0, 0, 0, 0, 1};
        byte[] bad = {1, 2, 3, 4};
        int failed = 0;
        for (int i = 0; i < 10_000; i++) {
            try {
                decode(i % 5_000 == 17 ? bad : good);
            } catch (DataFormatException refused) {
                failed++;
            }
        }
        System.out.println("refused " + failed);
    }

    private static int decode(byte[] packed) throws DataFormatException {
        Inflater inflater = new Inflater();
        inflater.setInput(packed);
        int size = inflater.inflate(new byte[16]);
        inflater.end();
        return size;
    }
}
