// end() is called twice, and a third time: the later calls are harmless, and the report has the
// line of each.
// expect: inflater created 4, ended 4; deflater created 1, ended 1
// again: 4 EndedTwice.main
// again: 4 EndedTwice.main
// again: 1 EndedTwice.main

import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class EndedTwice {
    public static void main(String[] args) {
        for (int i = 0; i < 4; i++) {
            Inflater inflater = new Inflater();
            inflater.end();
            inflater.end();
            inflater.end();
        }
        Deflater deflater = new Deflater();
        deflater.end();
        deflater.end();
        System.out.println("ended");
    }
}
