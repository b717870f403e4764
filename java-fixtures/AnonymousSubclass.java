// An anonymous subclass and a subclass of a subclass: the report names each by its own class.
// expect: inflater created 2, collected 2; deflater created 1, ended 1
// expect on 8: inflater created 2, late 2; deflater created 1, ended 1
// class: AnonymousSubclass$1

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class AnonymousSubclass {
    static class Raw extends Deflater {
        Raw() {
            super(1, true);
        }
    }

    static class Fast extends Raw {}

    public static void main(String[] args) {
        forget();
        forget();
        new Fast().end();
        System.out.println("done");
    }

    private static void forget() {
        new Inflater(true) {}.needsInput();
    }
}
