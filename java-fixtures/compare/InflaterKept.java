// A map that grows: each Inflater stays reachable, so that no GC frees it.

import java.util.HashMap;
import java.util.Map;
import java.util.zip.Inflater;

public class InflaterKept {
    private static final Map<Integer, Inflater> SESSIONS = new HashMap<>();

    public static void main(String[] args) throws Exception {
        Steps.run(args, InflaterKept::once);
    }

    private static int once() throws Exception {
        Inflater inflater = new Inflater(); // the leak
        Steps.decompress(inflater);
        SESSIONS.put(SESSIONS.size(), inflater);
        return 1;
    }
}
