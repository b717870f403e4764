// Calls after end() throw, NullPointerException before JDK 25 and IllegalStateException since, and
// change no count.
// expect: inflater created 1, ended 1; deflater created 1, ended 1

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class UsedAfterEnd {
    public static void main(String[] args) throws Exception {
        Inflater inflater = new Inflater();
        inflater.end();
        try {
            inflater.reset();
        } catch (RuntimeException thrown) {
            System.out.println(thrown.getMessage());
        }
        try {
            inflater.setInput(new byte[1]);
            inflater.inflate(new byte[1]);
        } catch (RuntimeException thrown) {
            System.out.println(thrown.getMessage());
        }
        Deflater deflater = new Deflater();
        deflater.end();
        try {
            deflater.reset();
        } catch (RuntimeException thrown) {
            System.out.println(thrown.getMessage());
        }
    }
}
