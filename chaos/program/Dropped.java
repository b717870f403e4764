import java.util.concurrent.Callable;
import java.util.zip.Inflater;

/** Defined again and again by loaders that are dropped. */
public final class Dropped implements Callable<Inflater> {
    @Override
    public Inflater call() {
        return new Inflater();
    }
}
