// Constructors of subclasses throw after super(): some end the instance first, some have given it
// to others, and some leave it to the GC. Others throw before there is one. Prints its own counts.
// expect: inflater created 30, ended 10, collected 10, live 10; deflater created 10, collected 10
// expect on 8: inflater created 30, ended 10, late 10, live 10; deflater created 10, late 10
// expect on Epsilon: inflater created 30, ended 10, live 20; deflater created 10, live 10

import java.util.ArrayList;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class ConstructorsThrow {
    private static final List<Inflater> ESCAPED = new ArrayList<Inflater>();

    static final class Throwing extends Inflater {
        Throwing(boolean ends, boolean escapes) {
            super(true);
            if (ends) {
                end();
            }
            if (escapes) {
                ESCAPED.add(this);
            }
            throw new IllegalStateException();
        }
    }

    static final class ThrowingField extends Deflater {
        private final int length = length(null);

        private static int length(String name) {
            return name.length();
        }
    }

    public static void main(String[] args) {
        int rounds = args.length > 0 ? Integer.parseInt(args[0]) : 10;
        int thrown = 0;
        for (int i = 0; i < rounds; i++) {
            thrown += throwing(true, false) + throwing(false, true) + throwing(false, false);
            thrown += throwingField() + throwingBefore();
        }
        if (thrown != 5 * rounds) {
            throw new AssertionError(thrown);
        }
        System.out.println("inflater " + 3 * rounds + " " + rounds + " " + ESCAPED.size() + " 0");
        System.out.println("deflater " + rounds + " 0 0 0");
    }

    private static int throwing(boolean ends, boolean escapes) {
        try {
            new Throwing(ends, escapes).end();
            return 0;
        } catch (IllegalStateException thrown) {
            return 1;
        }
    }

    private static int throwingField() {
        try {
            new ThrowingField().end();
            return 0;
        } catch (NullPointerException thrown) {
            return 1;
        }
    }

    /** There is no such level. */
    private static int throwingBefore() {
        try {
            new Deflater(42).end();
            return 0;
        } catch (IllegalArgumentException thrown) {
            return 1;
        }
    }
}
