// A subclass overrides end() and calls super.end(); two instances are ended by the program.
// expect: inflater created 2, ended 2
// class: OverriddenEndCallsSuper$Noted

import java.util.zip.Inflater;

public class OverriddenEndCallsSuper {
    static final class Noted extends Inflater {
        @Override
        public void end() {
            super.end();
        }
    }

    public static void main(String[] args) {
        new Noted().end();
        new Noted().end();
        System.out.println("ended");
    }
}
