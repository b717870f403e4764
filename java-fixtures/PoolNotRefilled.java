// A pool of Inflaters with two users: one gives back what it takes, and one forgets it. The pool
// has two at the end.
// expect: inflater created 9, collected 7, live 2
// expect on 8: inflater created 9, late 7, live 2

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.zip.Inflater;

public class PoolNotRefilled {
    static final class InflaterPool {
        private final Deque<Inflater> free = new ArrayDeque<Inflater>();

        Inflater acquire() {
            Inflater inflater = free.poll();
            return inflater == null ? create() : inflater;
        }

        private Inflater create() {
            return new Inflater(true);
        }

        void release(Inflater inflater) {
            inflater.reset();
            free.add(inflater);
        }
    }

    private static final InflaterPool POOL = new InflaterPool();

    public static void main(String[] args) {
        for (int i = 0; i < 7; i++) {
            forgets();
        }
        for (int i = 0; i < 5; i++) {
            givesBack();
        }
        System.out.println("done");
    }

    private static void forgets() {
        POOL.acquire().needsInput();
    }

    private static void givesBack() {
        List<Inflater> taken = new ArrayList<Inflater>();
        taken.add(POOL.acquire());
        taken.add(POOL.acquire());
        for (Inflater inflater : taken) {
            POOL.release(inflater);
        }
    }
}
