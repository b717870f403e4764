// The owner's finalize() ends it 5,000 frames deep, as at the end of a long chain of objects, each
// of which closes the next.
// expect: inflater created 1, late 1

import java.util.zip.Inflater;

public class FinalizedDeep {
    static final class Owner {
        final Inflater inflater = new Inflater();

        @Override
        @SuppressWarnings({"deprecation", "removal"})
        protected void finalize() {
            down(5_000);
        }

        private int down(int levels) {
            if (levels == 0) {
                inflater.end();
                return 0;
            }
            return 1 + down(levels - 1);
        }
    }

    public static void main(String[] args) {
        System.out.println(forget());
    }

    private static boolean forget() {
        return new Owner().inflater.needsInput();
    }
}
