// Creates as many instances of a kind as a line says (`inflater 1000`), uses each until all of its
// memory was touched, and holds them until standard input ends.
// expect: nothing

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class Holding {
    private static final List<Object> held = new ArrayList<Object>(10_000);
    private static final byte[] data = new byte[200_000];
    private static final byte[] packed = new byte[400_000];
    private static final byte[] out = new byte[8_192];

    public static void main(String[] args) throws Exception {
        // Some of the data repeats, some does not: this touches both tables of a Deflater and all
        // of its output buffer.
        Random random = new Random(7);
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) (i % 3_000 < 2_000 ? random.nextInt() : data[i - 1_900]);
        }
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            int packedLength = pack(new Deflater());
            for (int i = Integer.parseInt(words[1]); i > 0; i--) {
                if (words[0].equals("inflater")) {
                    unpack(packedLength);
                } else {
                    pack(new Deflater());
                }
            }
            System.out.println("done " + line);
        }
        System.out.println("held " + held.size());
    }

    private static int pack(Deflater deflater) {
        held.add(deflater);
        deflater.setInput(data);
        deflater.finish();
        int length = 0;
        while (!deflater.finished()) {
            length += deflater.deflate(packed, length, packed.length - length);
        }
        return length;
    }

    private static void unpack(int length) throws Exception {
        Inflater inflater = new Inflater();
        held.add(inflater);
        inflater.setInput(packed, 0, length);
        int unpacked = 0;
        while (!inflater.finished()) {
            unpacked += inflater.inflate(out);
        }
        if (unpacked != data.length) {
            throw new AssertionError(unpacked + " bytes");
        }
    }
}
