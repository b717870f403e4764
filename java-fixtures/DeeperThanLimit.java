// 1000 frames deep with a limit of 64: the innermost are kept, and the site is marked as truncated.
// expect: inflater created 1, collected 1
// expect on 8: inflater created 1, late 1
// options: gc,depth=64
// frame: DeeperThanLimit.forget
// truncated: 64

import java.util.zip.Inflater;

public class DeeperThanLimit {
    public static void main(String[] args) {
        System.out.println("down " + down(1000));
    }

    private static int down(int levels) {
        if (levels == 0) {
            forget();
            return 0;
        }
        return 1 + down(levels - 1);
    }

    private static void forget() {
        new Inflater().needsInput();
    }
}
