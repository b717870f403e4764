// Inflaters that are retained in many ways, each created in a method that is named after its way.
// Reads a line from standard input, and then exits while all of them are retained.
// expect: inflater created 316, ended 0, live any, collected any, late any

import java.lang.ref.SoftReference;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.zip.Inflater;

public class Retained {
    /** Constants count among the fields that a walk over the heap reports by number. */
    interface Sized {
        Integer SMALL = Integer.valueOf(1_000);
        String NAME = "sized";
    }

    interface Named extends Sized {
        Object OTHER = new Object();
    }

    static class Base implements Named {
        private final int number = 7;
        private Object other = NAME;
        private Inflater stream;
    }

    static class Holder extends Base implements Sized {
        private final Object own = SMALL;
        private final long more = 8;
    }

    /** A reference whose own field is no weak one; its interfaces move the number of `referent`. */
    static class Entry extends WeakReference<Object> implements Named {
        private final Inflater value;

        Entry(Object key, Inflater value) {
            super(key);
            this.value = value;
        }
    }

    static class Link {
        private final Link next;
        private final Inflater stream;

        Link(Link next, Inflater stream) {
            this.next = next;
            this.stream = stream;
        }
    }

    static class Worker extends Thread {
        private final Inflater own;
        private final CountDownLatch started = new CountDownLatch(1);

        Worker() {
            super("worker");
            setDaemon(true);
            own = inThread();
        }

        private static Inflater inThread() {
            return new Inflater();
        }

        @Override
        public void run() {
            LOCAL.set(threadLocal());
            waiting(otherStack());
        }

        private void waiting(Inflater mine) {
            started.countDown();
            try {
                Thread.sleep(1_000_000);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
            used(mine);
        }
    }

    private static final ThreadLocal<Inflater> LOCAL = new ThreadLocal<Inflater>();
    private static final Object KEY = new Object();
    private static final List<Inflater> LIST = new ArrayList<Inflater>();
    private static final ConcurrentLinkedQueue<Inflater> QUEUE = new ConcurrentLinkedQueue<Inflater>();
    private static final Map<Object, Inflater> WEAK_KEYS = new WeakHashMap<Object, Inflater>();
    private static Inflater direct;
    private static Holder holder;
    private static Link chain;
    private static Entry entry;
    private static WeakReference<Inflater> weak;
    private static SoftReference<Inflater> soft;
    private static Inflater used;

    public static void main(String[] args) throws Exception {
        staticField();
        superclassField();
        inList();
        inChain();
        inQueue();
        weakKey();
        valueOfReference();
        garbage();
        circle();
        weakOnly();
        softOnly();
        Worker worker = new Worker();
        worker.start();
        worker.started.await();
        ownStack();
    }

    private static void staticField() {
        direct = new Inflater();
    }

    private static void superclassField() {
        holder = new Holder();
        ((Base) holder).stream = new Inflater();
    }

    private static void inList() {
        for (int i = 0; i < 3; i++) {
            LIST.add(new Inflater());
        }
    }

    /** The oldest is the last of it. */
    private static void inChain() {
        for (int i = 0; i < 300; i++) {
            chain = new Link(chain, new Inflater());
        }
    }

    private static void inQueue() {
        QUEUE.add(new Inflater());
    }

    private static void weakKey() {
        WEAK_KEYS.put(KEY, new Inflater());
    }

    private static void valueOfReference() {
        entry = new Entry(KEY, new Inflater());
    }

    private static void garbage() {
        new Inflater();
    }

    private static void circle() {
        Object[] one = {new Inflater(), null};
        one[1] = new Object[] {one};
    }

    private static void weakOnly() {
        weak = new WeakReference<Inflater>(new Inflater());
    }

    private static void softOnly() {
        soft = new SoftReference<Inflater>(new Inflater());
    }

    private static Inflater threadLocal() {
        return new Inflater();
    }

    private static Inflater otherStack() {
        return new Inflater();
    }

    private static void ownStack() throws Exception {
        Inflater mine = new Inflater();
        System.out.println("ready");
        System.in.read();
        System.exit(0);
        used(mine);
    }

    private static void used(Inflater stream) {
        used = stream;
    }
}
