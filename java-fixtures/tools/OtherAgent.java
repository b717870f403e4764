// An agent of another kind (java.lang.instrument): it has both audited classes transformed, again and again.

import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.security.ProtectionDomain;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class OtherAgent {
    public static void premain(String arguments, Instrumentation instrumentation) throws Exception {
        instrumentation.addTransformer(new ClassFileTransformer() {
            @Override
            public byte[] transform(
                    ClassLoader loader, String name, Class<?> redefined, ProtectionDomain domain, byte[] bytes) {
                boolean audited = "java/util/zip/Inflater".equals(name) || "java/util/zip/Deflater".equals(name);
                return audited ? bytes.clone() : null;
            }
        }, true);
        for (int round = 0; round < 3; round++) {
            instrumentation.retransformClasses(Inflater.class, Deflater.class);
        }
        System.out.println("transformed");
    }
}
