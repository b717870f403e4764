// A subclass overrides end() and calls super.end(), and the program never calls it. JDK 8 to 11
// finalize such objects.
// expect: inflater created 2, collected 2
// expect on 8 11: inflater created 2, late 2
// class: OverriddenEndForgotten$Noted

import java.util.zip.Inflater;

public class OverriddenEndForgotten {
    static final class Noted extends Inflater {
        @Override
        public void end() {
            super.end();
        }
    }

    public static void main(String[] args) {
        forget();
        forget();
        System.out.println("forgotten");
    }

    private static void forget() {
        new Noted().needsInput();
    }
}
