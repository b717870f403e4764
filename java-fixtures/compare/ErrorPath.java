// Every other input is broken, and the exception goes past the call of end().

import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

public class ErrorPath {
    private static int calls;

    public static void main(String[] args) throws Exception {
        Steps.run(args, ErrorPath::once);
    }

    private static int once() throws Exception {
        calls++;
        try {
            read(calls % 2 == 0);
            return 0;
        } catch (DataFormatException broken) {
            return 1;
        }
    }

    private static void read(boolean good) throws Exception {
        Inflater inflater = new Inflater(); // the leak
        Steps.decompress(inflater);
        if (!good) {
            throw new DataFormatException("broken");
        }
        inflater.end();
    }
}
