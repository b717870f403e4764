// Every way through nine calls of two lines each is a stack of its own: 512 sites.
// expect: inflater created 512, live 512

import java.util.ArrayList;
import java.util.List;
import java.util.zip.Inflater;

public class ManySites {
    static final List<Inflater> KEPT = new ArrayList<Inflater>();

    public static void main(String[] args) {
        for (int way = 0; way < 512; way++) {
            walk(way, 9);
        }
        System.out.println("kept " + KEPT.size());
    }

    private static void walk(int way, int left) {
        if (left == 0) {
            KEPT.add(new Inflater());
        } else if ((way & 1) == 0) {
            walk(way >> 1, left - 1);
        } else {
            walk(way >> 1, left - 1);
        }
    }
}
