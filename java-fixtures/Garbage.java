// Makes garbage, collects it, prints `ready`, and ends when its stdin has a line or is closed.
// On JDK 8 the finalizers have run when it is ready.
// expect: inflater created 12, ended 2, collected 10
// expect on 8: inflater created 12, ended 2, late 10

import java.lang.ref.PhantomReference;
import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.Inflater;

public class Garbage {
    public static void main(String[] args) throws Exception {
        ReferenceQueue<Inflater> finalized = new ReferenceQueue<>();
        List<Reference<Inflater>> references = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            once(i < 2, finalized, references);
        }
        System.gc();
        if (System.getProperty("java.version").startsWith("1.8")) {
            for (int i = 0; i < references.size(); i++) {
                await(finalized);
            }
        }
        System.out.println("ready");
        System.in.read();
        System.out.println("done");
    }

    private static void once(
            boolean tidy, ReferenceQueue<Inflater> finalized, List<Reference<Inflater>> references) {
        Inflater inflater = new Inflater();
        if (tidy) {
            inflater.end();
        }
        references.add(new PhantomReference<>(inflater, finalized));
    }

    /** The GC gives a phantom reference to its queue only after the finalizer has run. */
    private static void await(ReferenceQueue<Inflater> finalized) throws InterruptedException {
        while (finalized.remove(50) == null) {
            System.gc();
        }
    }
}
