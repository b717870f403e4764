// The threads that created them have ended long before the report.
// expect: inflater created 20, collected 20
// expect on 8: inflater created 20, late 20

import java.util.zip.Inflater;

public class ThreadsGone {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 20; i++) {
            Thread thread = new Thread("short-lived-" + i) {
                @Override
                public void run() {
                    new Inflater().needsInput();
                }
            };
            thread.start();
            thread.join();
        }
        System.out.println("gone");
    }
}
