// No leak: a pool of 8 Inflaters, each of which is used again and again.

import java.util.ArrayDeque;
import java.util.zip.Inflater;

public class Pool {
    private static final int SIZE = 8;
    private static final ArrayDeque<Inflater> FREE = new ArrayDeque<>();
    private static int made;

    public static void main(String[] args) throws Exception {
        Steps.run(args, Pool::once);
    }

    private static int once() throws Exception {
        Inflater inflater = made < SIZE ? create() : FREE.remove();
        Steps.decompress(inflater);
        inflater.reset();
        FREE.add(inflater);
        return 0;
    }

    private static Inflater create() {
        made++;
        return new Inflater();
    }
}
