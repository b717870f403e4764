// An Inflater that is never ended.

import java.util.zip.Inflater;

public class InflaterForgotten {
    public static void main(String[] args) throws Exception {
        Steps.run(args, InflaterForgotten::once);
    }

    private static int once() throws Exception {
        Inflater inflater = new Inflater(); // the leak
        Steps.decompress(inflater);
        return 1;
    }
}
