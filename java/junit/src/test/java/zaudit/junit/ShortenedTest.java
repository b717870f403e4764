package zaudit.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Collections;
import java.util.Set;

import org.junit.jupiter.api.Test;

class ShortenedTest {
    private static final Set<String> CLASSES = Collections.singleton("shop.PackerTest");
    private static final Scope SCOPE =
            new Scope(Scope.Level.TEST, "e/t", CLASSES, "packs", 0, 1, 1, 1);

    private static void check(String expected, String... lines) {
        assertEquals(expected, Shortened.stacks(String.join("\n", lines), SCOPE));
    }

    @Test
    void stacksEndWithTheTest() {
        check(
                "LEAK 1 of 1  shop.Packer.pack(Packer.java:11)\n"
                        + "    1 live, holding 262 KiB · thread main\n"
                        + "    hint: call end()\n"
                        + "      java.util.zip.Deflater.<init>(Deflater.java:201)\n"
                        + "    > shop.Packer.pack(Packer.java:11)\n"
                        + "      shop.PackerTest.packs(PackerTest.java:10)\n"
                        + "      … 1213 more frames\n"
                        + "\n"
                        + "      java.util.zip.Deflater.<init>(Deflater.java:201)\n"
                        + "      shop.PackerTest$1.run(PackerTest.java:10)\n"
                        + "      … 1 more frame",
                "LEAK 1 of 1  shop.Packer.pack(Packer.java:11)",
                "    1 live, holding 262 KiB · thread main",
                "    hint: call end()",
                "      java.util.zip.Deflater.<init>(Deflater.java:201)",
                "    > shop.Packer.pack(Packer.java:11)",
                "      shop.PackerTest.packs(PackerTest.java:10)",
                "      org.junit.A.b(A.java:1)",
                "      … 1,212 more frames; format=json lists all",
                "",
                "      java.util.zip.Deflater.<init>(Deflater.java:201)",
                "      shop.PackerTest$1.run(PackerTest.java:10)",
                "      java.lang.Thread.run(Thread.java:1)");
    }

    @Test
    void stacksOfOtherThreadsStay() {
        String frames =
                "      java.util.zip.Deflater.<init>(Deflater.java:201)\n"
                        + "    > shop.Packer.pack(Packer.java:11)";
        check(frames, frames);
        check(frames + "\n      … 2 more frames", frames, "      … 2 more frames");
    }
}
