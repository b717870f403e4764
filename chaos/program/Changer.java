import java.lang.instrument.ClassDefinition;
import java.lang.instrument.Instrumentation;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/** Another agent in the same JVM. */
public final class Changer {
    private static Instrumentation jvm;
    private static byte[] inflater;

    private Changer() {}

    public static void premain(String options, Instrumentation instrumentation) throws Exception {
        jvm = instrumentation;
        inflater = Antagonist.bytesOf(Inflater.class.getResourceAsStream("Inflater.class"));
    }

    static void change(int which) throws Exception {
        switch (which) {
            case 0:
                jvm.redefineClasses(
                        new ClassDefinition(Changed.class, Antagonist.classFile("Changed")));
                break;
            case 1:
                jvm.retransformClasses(Inflater.class);
                break;
            case 2:
                jvm.redefineClasses(new ClassDefinition(Inflater.class, inflater));
                break;
            case 3:
                jvm.retransformClasses(Deflater.class, Changed.class);
                break;
            default:
                jvm.retransformClasses(Class.forName("java.util.zip.ZipFile"));
                break;
        }
    }
}
