// A constructor that throws inside of the JDK: new Deflater(42) owns nothing and counts as nothing.
// expect: deflater created 1, ended 1

import java.util.zip.Deflater;

public class BadLevel {
    public static void main(String[] args) {
        for (int level : new int[] {42, -2, 9, 10}) {
            System.out.println(level + ": " + attempt(level));
        }
    }

    private static String attempt(int level) {
        try {
            new Deflater(level, true).end();
            return "made";
        } catch (IllegalArgumentException refused) {
            return "refused";
        }
    }
}
