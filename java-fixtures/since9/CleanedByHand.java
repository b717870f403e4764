// The program calls Cleanable.clean(): the action runs on the caller's thread, so the instance is
// ended, not late.
// expect: inflater created 3, ended 3

import java.lang.ref.Cleaner;
import java.util.zip.Inflater;

public class CleanedByHand {
    private static final Cleaner CLEANER = Cleaner.create(task -> {
        Thread thread = new Thread(task, "a Cleaner with a name of its own");
        thread.setDaemon(true);
        return thread;
    });

    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            Object owner = new Object();
            Inflater inflater = new Inflater();
            CLEANER.register(owner, inflater::end).clean();
        }
        System.out.println("cleaned");
    }
}
