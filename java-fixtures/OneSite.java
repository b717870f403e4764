// Creates and ends at one line, again and again. Prints its own counts.
// expect: inflater created 1_000, ended 1_000

import java.util.zip.Inflater;

public class OneSite {
    public static void main(String[] args) {
        int rounds = args.length > 0 ? Integer.parseInt(args[0]) : 1_000;
        for (int i = 0; i < rounds; i++) {
            new Inflater().end();
        }
        System.out.println("inflater " + rounds + " " + rounds + " 0 0");
        System.out.println("deflater 0 0 0 0");
    }
}
