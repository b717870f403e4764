// Does not use the three standard streams. Given two names, it creates the file of the first, and
// ends when the pipe of the second has been opened and closed.
// expect: inflater created 2, ended 1, live 1

import java.io.File;
import java.io.FileInputStream;
import java.util.zip.Inflater;

public class WithoutStreams {
    static Inflater kept;

    public static void main(String[] args) throws Exception {
        new Inflater().end();
        kept = new Inflater();
        if (args.length == 2) {
            new File(args[0]).createNewFile();
            FileInputStream pipe = new FileInputStream(args[1]);
            pipe.read();
            pipe.close();
        }
    }
}
