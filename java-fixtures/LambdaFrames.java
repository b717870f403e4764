// Made inside lambdas and method references, called through classes that the JDK generates at run
// time.
// expect: inflater created 6, ended 3, collected 3
// expect on 8: inflater created 6, ended 3, late 3

import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.zip.Inflater;

public class LambdaFrames {
    public static void main(String[] args) {
        IntStream.range(0, 3).forEach(i -> use(() -> new Inflater(true)));
        IntStream.range(0, 3).forEach(i -> tidy(Inflater::new));
        System.out.println("done");
    }

    private static void use(Supplier<Inflater> supplier) {
        supplier.get().needsInput();
    }

    private static void tidy(Supplier<Inflater> supplier) {
        supplier.get().end();
    }
}
