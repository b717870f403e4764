/**
 * Lets antagonists act at the same time, except those that act alone.
 *
 * <p>Without java.util.concurrent, whose locks need memory of the Java heap, which may be full.
 */
final class Turns {
    private int acting;
    private boolean isAlone;

    /** Waits until the caller may act. */
    synchronized void begin(boolean alone) throws InterruptedException {
        while (isAlone) {
            wait();
        }
        if (alone) {
            isAlone = true;
            while (acting > 0) {
                wait();
            }
        }
        acting++;
    }

    synchronized void end(boolean alone) {
        acting--;
        if (alone) {
            isAlone = false;
        }
        notifyAll();
    }
}
