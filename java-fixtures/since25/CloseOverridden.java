// A subclass overrides close() without super.close(): nothing is ended by it.
// expect: inflater created 2, collected 2
// class: CloseOverridden$Sloppy
// says: CloseOverridden$Sloppy extends Inflater: use it in a try-with-resources statement; if it

import java.util.zip.Inflater;

public class CloseOverridden {
    static final class Sloppy extends Inflater {
        @Override
        public void close() {
            reset();
        }
    }

    public static void main(String[] args) {
        for (int i = 0; i < 2; i++) {
            pretend();
        }
        System.out.println("closed");
    }

    private static void pretend() {
        try (Sloppy sloppy = new Sloppy()) {
            sloppy.needsInput();
        }
    }
}
