// Creates and ends an Inflater on each of as many stacks as its first argument says (a power of
// two), each at least as deep as the second one says. Then it waits for a line on stdin, and does
// it once more.
// expect: inflater created 2, ended 2

import java.util.zip.Inflater;

public class ManyStacks {
    private static int ways = 1;
    private static int depth = 1;

    public static void main(String[] args) throws Exception {
        if (args.length > 0) {
            ways = Integer.parseInt(args[0]);
            depth = Integer.parseInt(args[1]);
        }
        all();
        System.out.println("ready");
        System.in.read();
        all();
        System.out.println("done " + ways);
    }

    private static void all() {
        for (int way = 0; way < ways; way++) {
            // The highest bit ends the walk.
            walk(way | ways, depth);
        }
    }

    private static void walk(int way, int left) {
        if (way > 1) {
            if ((way & 1) == 0) {
                walk(way >> 1, left - 1);
            } else {
                walk(way >> 1, left - 1);
            }
        } else if (left > 0) {
            walk(way, left - 1);
        } else {
            new Inflater(true).end();
        }
    }
}
