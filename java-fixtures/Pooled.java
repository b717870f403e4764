// A pool of four Inflaters, reset() between uses and kept for ever.
// expect: inflater created 4, live 4

import java.util.ArrayDeque;
import java.util.zip.Inflater;

public class Pooled {
    private static final ArrayDeque<Inflater> POOL = new ArrayDeque<Inflater>();

    public static void main(String[] args) {
        for (int round = 0; round < 100; round++) {
            Inflater[] taken = new Inflater[4];
            for (int i = 0; i < taken.length; i++) {
                taken[i] = POOL.isEmpty() ? new Inflater() : POOL.pop();
            }
            for (Inflater inflater : taken) {
                inflater.reset();
                POOL.push(inflater);
            }
        }
        System.out.println("pooled " + POOL.size());
    }
}
