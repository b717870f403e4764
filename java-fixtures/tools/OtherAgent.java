// A Java agent (java.lang.instrument): it retransforms both audited classes, again and again, and
// changes the message of an Inflater that is used after its end. With the argument `on` it
// continues until the JVM shuts down (a JVM that has died refuses a retransformation); with
// `on:NAME` it also retransforms the class of that name, once it is loaded.

import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.nio.charset.StandardCharsets;
import java.security.ProtectionDomain;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class OtherAgent {
    public static void premain(String arguments, final Instrumentation instrumentation) throws Exception {
        instrumentation.addTransformer(new ClassFileTransformer() {
            @Override
            public byte[] transform(
                    ClassLoader loader, String name, Class<?> redefined, ProtectionDomain domain,
                    byte[] bytes) {
                boolean audited = "java/util/zip/Inflater".equals(name)
                    || "java/util/zip/Deflater".equals(name);
                return audited ? shouting(bytes.clone()) : null;
            }
        }, true);
        for (int round = 0; round < 3; round++) {
            instrumentation.retransformClasses(Inflater.class, Deflater.class);
        }
        System.out.println("transformed");
        if (arguments != null && arguments.startsWith("on")) {
            final AtomicBoolean shutDown = new AtomicBoolean();
            final Thread thread = new Thread("other agent") {
                @Override
                public void run() {
                    try {
                        while (!shutDown.get()) {
                            instrumentation.retransformClasses(Inflater.class, Deflater.class);
                            for (Class<?> loaded : instrumentation.getAllLoadedClasses()) {
                                if (arguments.equals("on:" + loaded.getName())) {
                                    instrumentation.retransformClasses(loaded);
                                }
                            }
                            Thread.sleep(3);
                        }
                    } catch (Exception failed) {
                        failed.printStackTrace();
                    }
                }
            };
            thread.setDaemon(true);
            thread.start();
            Runtime.getRuntime().addShutdownHook(new Thread("other agent's end") {
                @Override
                public void run() {
                    shutDown.set(true);
                    try {
                        thread.join();
                    } catch (InterruptedException interrupted) {
                        interrupted.printStackTrace();
                    }
                }
            });
        }
    }

    /** A change of a constant is one of a few bytes. */
    private static byte[] shouting(byte[] bytes) {
        byte[] said = "has been closed".getBytes(StandardCharsets.US_ASCII);
        for (int at = 0; at + said.length <= bytes.length; at++) {
            if (Arrays.equals(said, Arrays.copyOfRange(bytes, at, at + said.length))) {
                byte[] changed = "has been CLOSED".getBytes(StandardCharsets.US_ASCII);
                System.arraycopy(changed, 0, bytes, at, said.length);
            }
        }
        return bytes;
    }
}
