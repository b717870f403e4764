// Two classes with the same code, loaded by turns and unloaded again, so that the compiled code of
// one comes to be where that of the other was. The argument says how many rounds there are.
// expect: inflater created 4_000, ended 4_000

import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.util.zip.Inflater;

public class ReloadedCode {
    /** Public, because classes of another loader use it. */
    public static final Runnable LIFE = new Runnable() {
        @Override
        public void run() {
            new Inflater(true).end();
        }
    };

    public static class Even implements Runnable {
        @Override
        public void run() {
            LIFE.run();
        }
    }

    public static class Odd implements Runnable {
        @Override
        public void run() {
            LIFE.run();
        }
    }

    static class Loader extends ClassLoader {
        Loader() {
            super(ReloadedCode.class.getClassLoader());
        }

        Runnable again(String name) throws Exception {
            try (InputStream in = ReloadedCode.class.getResourceAsStream(name + ".class")) {
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                byte[] buffer = new byte[4096];
                for (int read = in.read(buffer); read > 0; read = in.read(buffer)) {
                    bytes.write(buffer, 0, read);
                }
                Class<?> loaded = defineClass(name, bytes.toByteArray(), 0, bytes.size());
                return (Runnable) loaded.getConstructor().newInstance();
            }
        }
    }

    private static void round(String name) throws Exception {
        Runnable reloaded = new Loader().again(name);
        for (int i = 0; i < 400; i++) {
            reloaded.run();
        }
    }

    public static void main(String[] args) throws Exception {
        int rounds = args.length > 0 ? Integer.parseInt(args[0]) : 10;
        for (int i = 0; i < rounds; i++) {
            round(i % 2 == 0 ? "ReloadedCode$Even" : "ReloadedCode$Odd");
            for (int collections = 0; collections < 3; collections++) {
                System.gc();
            }
        }
        System.out.println("ended");
    }
}
