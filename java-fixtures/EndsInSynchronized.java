// The user of an instance holds its lock while another thread waits to end it: hooks hold no lock
// that could deadlock here.
// expect: inflater created 100, ended 100

import java.util.zip.Inflater;

public class EndsInSynchronized {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 100; i++) {
            final Inflater inflater = new Inflater();
            Thread ender;
            synchronized (inflater) {
                ender = new Thread() {
                    @Override
                    public void run() {
                        synchronized (inflater) {
                            inflater.end();
                        }
                    }
                };
                ender.start();
                inflater.reset();
            }
            ender.join();
        }
        System.out.println("done");
    }
}
