package zaudit;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Instances that one thread has made at one allocation site, and that the program has not ended.
 * It is a copy: what happens later does not change it.
 */
public final class OpenInstances {
    private final String site;
    private final String kind;
    private final long threadId;
    private final List<String> threadNames;
    private final List<StackTraceElement> stack;
    private final long[] numbers;
    /** What became of each: a letter, as the agent gives it. */
    private final char[] outcomes;

    OpenInstances(
            String site,
            String kind,
            long threadId,
            List<String> threadNames,
            List<StackTraceElement> stack,
            long[] numbers,
            char[] outcomes) {
        this.site = site;
        this.kind = kind;
        this.threadId = threadId;
        this.threadNames = Collections.unmodifiableList(threadNames);
        this.stack = Collections.unmodifiableList(stack);
        this.numbers = numbers;
        this.outcomes = outcomes;
    }

    /** {@code Inflater}, {@code Deflater} or {@code zip_entry}, an entry stream of a ZipFile. */
    public String kind() {
        return kind;
    }

    public long count() {
        return numbers.length;
    }

    /** The stack that made them, innermost frame first, from the constructor on. */
    public List<StackTraceElement> stack() {
        return stack;
    }

    /** The names that the thread had; none if it had none or they could not be read. */
    public List<String> threadNames() {
        return threadNames;
    }

    /** {@code Thread.getId()} of the thread that made them, virtual or not; 0 if it is unknown. */
    public long threadId() {
        return threadId;
    }

    /**
     * A number for each instance, in the order in which they were made: greater than a {@link
     * Zaudit#mark} that was taken before, and the same in each later answer.
     */
    public long[] numbers() {
        return numbers.clone();
    }

    /** Those of them with one of these numbers. */
    public OpenInstances only(long[] wanted) {
        long[] sorted = wanted.clone();
        Arrays.sort(sorted);
        long[] kept = new long[numbers.length];
        char[] keptOutcomes = new char[numbers.length];
        int count = 0;
        for (int at = 0; at < numbers.length; at++) {
            if (Arrays.binarySearch(sorted, numbers[at]) >= 0) {
                kept[count] = numbers[at];
                keptOutcomes[count++] = outcomes[at];
            }
        }
        return new OpenInstances(
                site,
                kind,
                threadId,
                threadNames,
                stack,
                Arrays.copyOf(kept, count),
                Arrays.copyOf(keptOutcomes, count));
    }

    /** A line for each instance, as the agent reads it: site, outcome, how many. */
    void appendTo(StringBuilder query) {
        for (char outcome : outcomes) {
            query.append(site).append('\t').append(outcome).append("\t1\n");
        }
    }

    /** {@code Deflater x2 at org.acme.Codec.encode(Codec.java:7)}, for logs. */
    @Override
    public String toString() {
        String text = kind + " x" + numbers.length;
        for (StackTraceElement frame : stack) {
            if (!frame.getClassName().startsWith("java.util.zip.")) {
                return text + " at " + frame;
            }
        }
        return text;
    }
}
