// Threads whose first Inflater is 50,000 frames deep. Then it waits for a line on stdin.
// expect: inflater created 4, ended 4
// truncated: 1024

import java.util.zip.Inflater;

public class ThreadsDeep {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 4; i++) {
            Thread thread = new Thread(null, () -> down(50_000), "deep", 256 << 20);
            thread.start();
            thread.join();
        }
        System.out.println("ready");
        System.in.read();
        System.out.println("done");
    }

    private static int down(int levels) {
        if (levels == 0) {
            new Inflater().end();
            return 0;
        }
        return 1 + down(levels - 1);
    }
}
