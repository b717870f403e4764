// Leaks one and keeps one, then ends in the way that its argument names; with no argument,
// normally.
// expect: inflater created 2, collected 1, live 1
// expect on 8: inflater created 2, late 1, live 1

import java.util.zip.Inflater;

public class Ending {
    static Inflater kept;

    public static void main(String[] args) throws Exception {
        leak();
        kept = new Inflater();
        System.out.println("ready");
        String way = args.length == 0 ? "normal" : args[0];
        switch (way) {
            case "normal":
                break;
            case "exit":
                System.exit(7);
                break;
            case "halt":
                Runtime.getRuntime().halt(7);
                break;
            case "uncaught":
                throw new IllegalStateException("uncaught");
            case "wait":
                System.in.read();
                break;
            default:
                throw new IllegalArgumentException(way);
        }
    }

    private static void leak() {
        new Inflater(true).needsInput();
    }
}
