// A subclass overrides end() without super.end(): the program calls it, but the instance is never
// ended.
// expect: inflater created 3, collected 3

import java.util.zip.Inflater;

public class OverriddenEndSwallowed {
    static final class Swallowing extends Inflater {
        @Override
        public void end() {
            reset();
        }
    }

    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            pretend();
        }
        System.out.println("pretended");
    }

    private static void pretend() {
        new Swallowing().end();
    }
}
