// A subclass's constructor throws after super() has created the instance: no caller can ever end
// it.
// expect: inflater created 3, collected 3; deflater created 2, ended 1, collected 1
// expect on 8: inflater created 3, late 3; deflater created 2, ended 1, late 1

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class SubclassThrows {
    static final class Strict extends Inflater {
        Strict(String dictionary) {
            super(true);
            if (dictionary == null) {
                throw new IllegalStateException("no dictionary");
            }
        }
    }

    static final class Tidy extends Deflater {
        Tidy(boolean tidy) {
            if (tidy) {
                end();
            }
            throw new IllegalStateException("tidy: " + tidy);
        }
    }

    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            strict();
        }
        tidy(true);
        tidy(false);
    }

    private static void strict() {
        try {
            new Strict(null).end();
        } catch (IllegalStateException thrown) {
            System.out.println(thrown.getMessage());
        }
    }

    private static void tidy(boolean tidy) {
        try {
            new Tidy(tidy).end();
        } catch (IllegalStateException thrown) {
            System.out.println(thrown.getMessage());
        }
    }
}
