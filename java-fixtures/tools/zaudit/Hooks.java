// Where the calls spliced into a whole JDK go: they are counted, roughly, for many threads count at
// once.

package zaudit;

public final class Hooks {
    public static long calls;

    public static void created(Object object) {
        calls++;
    }

    public static void ended(Object object) {
        calls++;
    }

    public static void lent(Object object) {
        calls++;
    }

    public static void givenBack(Object object) {
        calls++;
    }

    public static void providerCreated(Object object) {
        calls++;
    }

    public static void ending(Object object) {
        calls++;
    }

    public static void inflaterCreated(long address, Object object) {
        calls++;
    }

    public static void deflaterCreated(long address, Object object) {
        calls++;
    }

    public static void inflaterEnded(long address) {
        calls++;
    }

    public static void deflaterEnded(long address) {
        calls++;
    }

    public static void inflaterEnds(long address) {
        calls++;
    }

    public static void deflaterEnds(long address) {
        calls++;
    }
}
