// One thread makes them, another one ends them.
// expect: inflater created 50, ended 50; deflater created 50, ended 50

import java.util.ArrayList;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class EndedElsewhere {
    public static void main(String[] args) throws Exception {
        final List<Inflater> inflaters = new ArrayList<Inflater>();
        final List<Deflater> deflaters = new ArrayList<Deflater>();
        for (int i = 0; i < 50; i++) {
            inflaters.add(new Inflater(true));
            deflaters.add(new Deflater(1, true));
        }
        Thread ender = new Thread("ender") {
            @Override
            public void run() {
                for (Inflater inflater : inflaters) {
                    inflater.end();
                }
                for (Deflater deflater : deflaters) {
                    deflater.end();
                }
            }
        };
        ender.start();
        ender.join();
        System.out.println("ended " + inflaters.size() + " and " + deflaters.size());
    }
}
