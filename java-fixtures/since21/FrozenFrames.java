// A virtual thread yields 200 frames deep, so that its outer frames are frozen in the heap, and
// creates and ends there.
// expect: inflater created 1_000, ended 1_000; deflater created 10, ended 10
// frame: FrozenFrames.down
// frame: FrozenFrames.lambda$main$0

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class FrozenFrames {
    public static void main(String[] args) throws Exception {
        Thread.startVirtualThread(() -> down(200)).join();
        // Each of these threads ends its first one with frozen frames.
        for (int i = 0; i < 10; i++) {
            Deflater deflater = new Deflater();
            Thread.startVirtualThread(() -> endAt(200, deflater)).join();
        }
        System.out.println("ended");
    }

    private static void down(int levels) {
        if (levels > 0) {
            down(levels - 1);
            return;
        }
        for (int i = 0; i < 1_000; i++) {
            Thread.yield();
            new Inflater(true).end();
        }
    }

    private static void endAt(int levels, Deflater deflater) {
        if (levels > 0) {
            endAt(levels - 1, deflater);
            return;
        }
        Thread.yield();
        deflater.end();
    }
}
