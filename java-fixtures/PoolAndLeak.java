// Fills a pool once; then each line on stdin leaks three more into a list, until stdin is closed.
// expect: inflater created 16, live 16

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class PoolAndLeak {
    static final List<Inflater> POOL = new ArrayList<Inflater>();
    static final List<Deflater> LEAKED = new ArrayList<Deflater>();

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 16; i++) {
            fill();
        }
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            for (int i = 0; i < 3; i++) {
                leak();
            }
            System.out.println("leaked");
        }
        System.out.println("done");
    }

    private static void fill() {
        POOL.add(new Inflater());
    }

    private static void leak() {
        LEAKED.add(new Deflater());
    }
}
