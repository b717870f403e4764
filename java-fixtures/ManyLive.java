// Creates as many as a line of its standard input says, keeps them, and does so until the input
// ends.
// expect: nothing

import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;
import java.util.zip.Inflater;

public class ManyLive {
    private static final List<Inflater> KEPT = new ArrayList<Inflater>(200_000);

    public static void main(String[] args) {
        System.out.println("ready");
        Scanner lines = new Scanner(System.in);
        while (lines.hasNextInt()) {
            int more = lines.nextInt();
            for (int i = 0; i < more; i++) {
                KEPT.add(new Inflater());
            }
            System.out.println("made " + more);
        }
        System.out.println("inflater " + KEPT.size() + " 0 " + KEPT.size() + " 0");
        System.out.println("deflater 0 0 0 0");
    }
}
