// Reachable from static fields when the program ends.
// expect: inflater created 2, live 2; deflater created 1, live 1

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class LiveAtExit {
    static final Inflater[] INFLATERS = {new Inflater(), new Inflater(true)};
    static Deflater deflater;

    public static void main(String[] args) {
        deflater = new Deflater();
        System.out.println("kept " + INFLATERS.length);
    }
}
