package zaudit;

/** What became of the instances of one kind. */
public final class Totals {
    private final long[] numbers;

    /** In the order of the methods. */
    Totals(long[] numbers) {
        this.numbers = numbers;
    }

    /** All of them; of adopted ones: found open. */
    public long getCreated() {
        return numbers[0];
    }

    /** Ended by the program. */
    public long getEnded() {
        return numbers[1];
    }

    /** Ended by a finalizer or Cleaner only. */
    public long getLate() {
        return numbers[2];
    }

    /** Freed by the collector, never ended. */
    public long getCollected() {
        return numbers[3];
    }

    /** None of these so far. */
    public long getLive() {
        return numbers[4];
    }
}
