// Leaks one, and prints a lot through a buffer that is flushed by its last statement.
// expect: inflater created 1, collected 1
// expect on 8: inflater created 1, late 1

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.util.zip.Inflater;

public class MuchOutput {
    public static void main(String[] args) {
        leak();
        PrintStream out =
            new PrintStream(
                new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 20), false);
        for (int i = 0; i < 100000; i++) {
            out.print("line " + i + "\n");
        }
        out.flush();
    }

    private static void leak() {
        new Inflater(true).needsInput();
    }
}
