// 300 frames deep, as in frameworks: the whole stack is in the report.
// expect: inflater created 1, collected 1
// expect on 8: inflater created 1, late 1
// frame: DeepStack.main
// frame: DeepStack.forget

import java.util.zip.Inflater;

public class DeepStack {
    public static void main(String[] args) {
        System.out.println("down " + down(300));
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
