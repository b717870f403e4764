// A shutdown hook makes two: one is ended, the other one kept. Both are in the report.
// expect: inflater created 2, ended 1, live 1
// frame: ShutdownHook$1.run

import java.util.zip.Inflater;

public class ShutdownHook {
    static Inflater kept;

    public static void main(String[] args) {
        Runtime.getRuntime().addShutdownHook(new Thread("hook") {
            @Override
            public void run() {
                new Inflater().end();
                kept = new Inflater();
                System.out.println("hook");
            }
        });
        System.out.println("main");
    }
}
