package bench;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/**
 * Compresses 4 KB and decompresses them again, each time with a new Deflater and a new Inflater.
 *
 * <p>{@code Work ITERATIONS} does so after a quarter as many for warming up, and prints the
 * milliseconds of all, and the microseconds of the fastest and of the median iteration.
 */
public final class Work {
    private static final byte[] TEXT = text(4096);
    private static final byte[] COMPRESSED = new byte[8192];
    private static final byte[] RESTORED = new byte[8192];

    private Work() {}

    public static void main(String[] args) throws Exception {
        int iterations = Integer.parseInt(args[0]);
        for (int i = 0; i < iterations / 4; i++) {
            once();
        }
        long[] nanos = new long[iterations];
        long begin = System.nanoTime();
        for (int i = 0; i < iterations; i++) {
            long start = System.nanoTime();
            once();
            nanos[i] = System.nanoTime() - start;
        }
        long total = System.nanoTime() - begin;
        Arrays.sort(nanos);
        System.out.println("min=" + nanos[0] / 1e3 + " median=" + nanos[iterations / 2] / 1e3
                + " total=" + total / 1e6 + " lifecycles=" + (iterations + iterations / 4));
    }

    private static void once() throws DataFormatException {
        Deflater deflater = new Deflater();
        deflater.setInput(TEXT);
        deflater.finish();
        int length = deflater.deflate(COMPRESSED);
        deflater.end();
        Inflater inflater = new Inflater();
        inflater.setInput(COMPRESSED, 0, length);
        int restored = inflater.inflate(RESTORED);
        inflater.end();
        if (restored != TEXT.length) {
            throw new IllegalStateException(restored + " bytes");
        }
    }

    /** Words of a small vocabulary, always the same ones. */
    static byte[] text(int length) {
        Random random = new Random(1);
        StringBuilder text = new StringBuilder();
        while (text.length() < length) {
            text.append("word").append(Integer.toString(random.nextInt(2000), 36)).append(' ');
        }
        return Arrays.copyOf(text.toString().getBytes(StandardCharsets.US_ASCII), length);
    }
}
