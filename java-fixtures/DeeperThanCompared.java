// 2500 frames deep, which is deeper than any depth that an option allows.
// expect: inflater created 100, ended 100
// truncated: 1024

import java.util.zip.Inflater;

public class DeeperThanCompared {
    public static void main(String[] args) {
        System.out.println("down " + down(2500));
    }

    private static int down(int levels) {
        if (levels == 0) {
            for (int i = 0; i < 100; i++) {
                new Inflater().end();
            }
            return 0;
        }
        return 1 + down(levels - 1);
    }
}
