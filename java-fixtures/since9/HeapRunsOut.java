// With an argument, fills the heap but for that number of small objects, and creates instances
// until a constructor fails. It may have no memory for the entry in the Cleaner, and leaks the
// native stream that it has created. Prints its own counts.
// expect: nothing

import java.util.zip.Inflater;

public class HeapRunsOut {
    private static Object[] chain;
    private static Throwable full;

    public static void main(String[] args) {
        if (args.length > 0) {
            create(Integer.parseInt(args[0]));
        }
    }

    private static void create(int free) {
        Inflater[] made = new Inflater[10_000];
        int count = 0;
        // The agent knows the stack before there is no memory.
        while (count < 20) {
            made[count++] = create();
        }
        fill();
        for (int i = 0; i < free; i++) {
            chain = (Object[]) chain[0];
        }
        Throwable thrown = null;
        while (thrown == null) {
            try {
                made[count] = create();
                count++;
            } catch (OutOfMemoryError error) {
                thrown = error;
            }
        }
        chain = null;
        int leaked = hasStream(thrown) ? 1 : 0;
        for (int i = 0; i < count; i++) {
            made[i].end();
        }
        System.out.println("inflater " + (count + leaked) + " " + count + " " + leaked + " 0");
        System.out.println("deflater 0 0 0 0");
    }

    private static Inflater create() {
        return new Inflater();
    }

    private static void fill() {
        try {
            while (true) {
                Object[] next = new Object[1];
                next[0] = chain;
                chain = next;
            }
        } catch (OutOfMemoryError error) {
            // What it takes is not free again before the end.
            full = error;
        }
    }

    /** Whether the constructor of the native stream's owner had begun. */
    private static boolean hasStream(Throwable thrown) {
        if (thrown.getStackTrace().length == 0) {
            throw new AssertionError("an OutOfMemoryError without a stack");
        }
        for (StackTraceElement frame : thrown.getStackTrace()) {
            if (frame.getClassName().equals("java.util.zip.Inflater$InflaterZStreamRef")) {
                return true;
            }
        }
        return false;
    }
}
