import java.util.zip.Inflater;

/** Redefined while it runs. */
final class Changed {
    private Changed() {}

    static Inflater inflater() {
        return new Inflater();
    }
}
