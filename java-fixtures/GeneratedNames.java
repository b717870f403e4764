// Created in a lambda, in an anonymous class, in a constructor and in a static initializer: the
// names that the compiler gives to some of these are in no source.
// expect: inflater created 3, collected 3; deflater created 1, live 1
// expect on 8: inflater created 3, late 3; deflater created 1, live 1

import java.io.ByteArrayInputStream;
import java.util.zip.Deflater;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;

public class GeneratedNames {
    private static final Deflater KEPT = new Deflater();

    public static void main(String[] args) {
        inLambda();
        inAnonymous();
        inConstructor();
        System.out.println("done");
    }

    private static void inLambda() {
        Runnable runnable = () -> new Inflater().reset();
        runnable.run();
    }

    private static void inAnonymous() {
        Runnable runnable = new Runnable() {
            @Override
            public void run() {
                new Inflater().reset();
            }
        };
        runnable.run();
    }

    private static void inConstructor() {
        new Holder();
    }

    private static final class Holder {
        Holder() {
            new InflaterInputStream(new ByteArrayInputStream(new byte[0])).markSupported();
        }
    }
}
