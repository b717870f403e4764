// A Deflater that is never ended.

import java.util.zip.Deflater;

public class DeflaterForgotten {
    public static void main(String[] args) throws Exception {
        Steps.run(args, DeflaterForgotten::once);
    }

    private static int once() {
        Deflater deflater = new Deflater(); // the leak
        Steps.compress(deflater);
        return 1;
    }
}
