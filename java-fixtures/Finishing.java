// Leaks, keeps or ends, and finishes with an exit code of its own. Its arguments are a way to
// finish (return, exit, halt, uncaught, wait), what it does before (clean, leak, keep, tidy) and
// the code. A program that returns has a code other than 0 only from a hook that halts.
// expect: inflater created 1, ended 1

import java.util.ArrayList;
import java.util.List;
import java.util.zip.Inflater;

public class Finishing {
    static final List<Inflater> KEPT = new ArrayList<Inflater>();

    public static void main(String[] args) throws Exception {
        String way = args.length > 0 ? args[0] : "return";
        String what = args.length > 1 ? args[1] : "clean";
        int code = args.length > 2 ? Integer.parseInt(args[2]) : 0;
        for (int i = 0; i < 3; i++) {
            if (what.equals("leak")) {
                leak();
            } else if (what.equals("keep") || what.equals("tidy")) {
                keep();
            }
        }
        new Inflater().end();
        System.out.println("ready");
        switch (way) {
            case "return":
                if (code != 0) {
                    Thread halting = new Thread(() -> Runtime.getRuntime().halt(code));
                    Runtime.getRuntime().addShutdownHook(halting);
                }
                break;
            case "exit":
                System.exit(code);
                break;
            case "halt":
                Runtime.getRuntime().halt(code);
                break;
            case "uncaught":
                throw new IllegalStateException("uncaught");
            case "wait":
                System.in.read();
                break;
            default:
                throw new IllegalArgumentException(way);
        }
        if (what.equals("tidy")) {
            KEPT.forEach(Inflater::end);
        }
        System.out.println("done");
    }

    private static void leak() {
        new Inflater(true).needsInput();
    }

    private static void keep() {
        KEPT.add(new Inflater());
    }
}
