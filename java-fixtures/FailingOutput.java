// A GZIPOutputStream whose target fails on close(): JDK 8 and 11 then leave its Deflater behind.
// expect: deflater created 2, ended 2
// expect on 8: deflater created 2, late 2
// expect on 11: deflater created 2, collected 2

import java.io.IOException;
import java.io.OutputStream;
import java.util.zip.GZIPOutputStream;

public class FailingOutput {
    static final class Full extends OutputStream {
        private int room = 10;

        @Override
        public void write(int b) throws IOException {
            if (room-- == 0) {
                throw new IOException("full");
            }
        }
    }

    public static void main(String[] args) {
        System.out.println(write());
        System.out.println(write());
    }

    private static String write() {
        try {
            GZIPOutputStream out = new GZIPOutputStream(new Full());
            try {
                out.write(new byte[2000]);
            } finally {
                out.close();
            }
            return "written";
        } catch (IOException refused) {
            return refused.getMessage();
        }
    }
}
