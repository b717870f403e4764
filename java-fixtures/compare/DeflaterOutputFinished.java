// A DeflaterOutputStream that is finished and not closed.

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.zip.DeflaterOutputStream;

public class DeflaterOutputFinished {
    public static void main(String[] args) throws Exception {
        Steps.run(args, DeflaterOutputFinished::once);
    }

    private static int once() throws IOException {
        ByteArrayOutputStream to = new ByteArrayOutputStream();
        DeflaterOutputStream out = new DeflaterOutputStream(to); // the leak
        out.write(Steps.DATA);
        out.finish();
        return 1;
    }
}
