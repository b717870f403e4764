package bench;

/**
 * Starts {@code ShortThreads COUNT} virtual threads that do next to nothing, a hundred at a time.
 */
public final class ShortThreads {
    private static volatile int ran;

    private ShortThreads() {}

    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[0]);
        Thread[] threads = new Thread[100];
        for (int i = 0; i < count / threads.length; i++) {
            for (int j = 0; j < threads.length; j++) {
                threads[j] = Thread.ofVirtual().start(() -> ran = 1);
            }
            for (Thread thread : threads) {
                thread.join();
            }
        }
        System.out.println("threads=" + count + " ran=" + ran);
    }
}
