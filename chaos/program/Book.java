import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/** The program's own count of what it creates and ends, which the report has to equal. */
final class Book {
    enum Kind { INFLATER, DEFLATER, ENTRY }

    /** The lines of the file that {@link #write} writes. */
    private enum Line {
        /** Created for certain. */
        CREATED,
        /** Ended by the program for certain. */
        ENDED,
        /** Perhaps created, and not ended: the constructor did not return. */
        UNSURE,
        /** Created, and perhaps ended: {@code end()} did not return. */
        UNSURE_END
    }

    private static final AtomicLong[][] COUNTS = new AtomicLong[Kind.values().length][];

    static {
        for (int kind = 0; kind < COUNTS.length; kind++) {
            COUNTS[kind] = new AtomicLong[Line.values().length];
            for (int line = 0; line < COUNTS[kind].length; line++) {
                COUNTS[kind][line] = new AtomicLong();
            }
        }
    }

    private Book() {}

    static void created(Kind kind) {
        COUNTS[kind.ordinal()][Line.CREATED.ordinal()].incrementAndGet();
    }

    static void ended(Kind kind) {
        COUNTS[kind.ordinal()][Line.ENDED.ordinal()].incrementAndGet();
    }

    static void unsure(Kind kind) {
        COUNTS[kind.ordinal()][Line.UNSURE.ordinal()].incrementAndGet();
    }

    static void unsureEnd(Kind kind) {
        COUNTS[kind.ordinal()][Line.UNSURE_END.ordinal()].incrementAndGet();
    }

    static Inflater created(Inflater inflater) {
        created(Kind.INFLATER);
        return inflater;
    }

    static Deflater created(Deflater deflater) {
        created(Kind.DEFLATER);
        return deflater;
    }

    static void end(Inflater inflater) {
        inflater.end();
        ended(Kind.INFLATER);
    }

    static void end(Deflater deflater) {
        deflater.end();
        ended(Kind.DEFLATER);
    }

    /** Writes {@code inflater created=1 ended=1 unsure=0 unsure_end=0} and so on. */
    static void write(File file) throws IOException {
        try (PrintWriter out = new PrintWriter(file, "UTF-8")) {
            for (Kind kind : Kind.values()) {
                out.print(kind.name().toLowerCase(java.util.Locale.ROOT));
                for (Line line : Line.values()) {
                    String name = line.name().toLowerCase(java.util.Locale.ROOT);
                    out.print(" " + name + "=" + COUNTS[kind.ordinal()][line.ordinal()]);
                }
                out.println();
            }
            if (out.checkError()) {
                throw new IOException("cannot write " + file);
            }
        }
    }
}
