// What the programs of scripts/compare share: the steps, which the script requests one by one on
// stdin, and the data.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

final class Steps {
    // A behaviour; returns how many instances it has left open that nothing will end.
    interface Behaviour {
        int once() throws Exception;
    }

    // 4,000 bytes that are neither constant nor random.
    static final byte[] DATA = new byte[4000];
    static final byte[] COMPRESSED = new byte[8000];
    // The length of what is in COMPRESSED.
    static final int LENGTH;

    static {
        for (int i = 0; i < DATA.length; i++) {
            DATA[i] = (byte) (i * i / 50);
        }
        Deflater deflater = new Deflater();
        LENGTH = compress(deflater);
        deflater.end();
        // As in a service, both classes are loaded before anything is attached.
        new Inflater().end();
    }

    private Steps() {
    }

    // Each line on stdin is a step: "work" repeats the behaviour args[0] times, "gc" forces GCs.
    // Any other one is only answered.
    static void run(String[] args, Behaviour behaviour) throws Exception {
        int times = Integer.parseInt(args[0]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("ready");
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            int open = 0;
            if (line.equals("work")) {
                for (int i = 0; i < times; i++) {
                    open += behaviour.once();
                }
            } else if (line.equals("gc")) {
                collect();
            }
            System.out.println(line + " " + open);
        }
    }

    // Several times: what a finalizer or a Cleaner lets go of is collected by the next GC.
    private static void collect() throws InterruptedException {
        for (int i = 0; i < 5; i++) {
            System.gc();
            Thread.sleep(200);
        }
    }

    static int compress(Deflater deflater) {
        deflater.setInput(DATA);
        deflater.finish();
        return deflater.deflate(COMPRESSED);
    }

    // Reads to the end but for one byte, so that zlib has allocated its window.
    static int decompress(Inflater inflater) throws Exception {
        inflater.setInput(COMPRESSED, 0, LENGTH);
        return inflater.inflate(new byte[DATA.length - 1]);
    }
}
