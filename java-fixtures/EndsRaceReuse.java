// Threads call end() on one object at the same moment, round after round. At once, each of them
// creates another one, which gets the address that was just freed. One of them ends the object of
// the round before again. Prints its own counts, the last ones of these calls.
// expect: inflater created 1_260, ended 1_248, live 12; deflater created 20, ended 20

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class EndsRaceReuse {
    /** Threads that wait for each other try so often before they give up their processor. */
    private static final int SPINS = 2_000;

    private static final AtomicLong ARRIVED = new AtomicLong();

    /** The object of a round; the next round has the other place. */
    private static final Object[] SHARED = new Object[2];

    private static final List<List<Inflater>> KEPT = new ArrayList<List<Inflater>>();

    public static void main(String[] args) throws Exception {
        int rounds = args.length > 0 ? Integer.parseInt(args[0]) : 320;
        int threads = args.length > 1 ? Integer.parseInt(args[1]) : 3;
        List<Thread> all = new ArrayList<Thread>();
        for (int i = 0; i < threads; i++) {
            int number = i;
            List<Inflater> kept = new ArrayList<Inflater>();
            KEPT.add(kept);
            all.add(new Thread(() -> race(rounds, threads, number, kept)));
        }
        for (Thread thread : all) {
            thread.start();
        }
        for (Thread thread : all) {
            thread.join();
        }
        long live = 0;
        for (List<Inflater> kept : KEPT) {
            live += kept.size();
        }
        long deflaters = (rounds + 15) / 16;
        long inflaters = rounds - deflaters;
        long own = (long) rounds * threads;
        System.out.println("inflater " + (inflaters + own) + " " + (inflaters + own - live) + " "
                + live + " " + inflaters);
        System.out.println("deflater " + deflaters + " " + deflaters + " 0 " + deflaters);
    }

    private static void race(int rounds, int threads, int number, List<Inflater> kept) {
        Object before = null;
        for (int round = 0; round <= rounds; round++) {
            boolean isDeflater = round % 16 == 0;
            if (round < rounds && round % threads == number) {
                SHARED[round & 1] = isDeflater ? new Deflater(1) : new Inflater();
            }
            meet((round + 1L) * threads);
            if (round > 0 && round % threads == number) {
                again(before);
            }
            if (round == rounds) {
                break;
            }
            before = SHARED[round & 1];
            if (isDeflater) {
                ((Deflater) before).end();
            } else {
                ((Inflater) before).end();
            }
            Inflater own = new Inflater();
            if (round % 100 == 0) {
                kept.add(own);
            } else {
                own.end();
            }
        }
    }

    /** All threads have come back from their call. */
    private static void again(Object ended) {
        if (ended instanceof Deflater) {
            ((Deflater) ended).end();
        } else {
            ((Inflater) ended).end();
        }
    }

    private static void meet(long all) {
        ARRIVED.incrementAndGet();
        for (int spins = 0; ARRIVED.get() < all; spins++) {
            if (spins > SPINS) {
                Thread.yield();
            }
        }
    }
}
