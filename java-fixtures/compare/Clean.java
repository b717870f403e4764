// No leak: a Deflater and an Inflater, both ended.

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class Clean {
    public static void main(String[] args) throws Exception {
        Steps.run(args, Clean::once);
    }

    private static int once() throws Exception {
        Deflater deflater = new Deflater();
        try {
            Steps.compress(deflater);
        } finally {
            deflater.end();
        }
        Inflater inflater = new Inflater();
        try {
            Steps.decompress(inflater);
        } finally {
            inflater.end();
        }
        return 0;
    }
}
