package zaudit.bench;

import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.security.ProtectionDomain;
import java.util.Set;
import java.util.zip.Deflater;
import java.util.zip.Inflater;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;

/**
 * An agent as one writes it by hand in Java: it follows every Inflater and Deflater from the return
 * of its constructor to {@code end()}, with the allocation stack. Only {@code scripts/bench} loads
 * it. It reports nothing, and ends the process if a hook cannot be placed, so that no number is
 * measured on an agent that does nothing.
 */
public final class Agent implements ClassFileTransformer {
    private static final String HOOKS = "zaudit/bench/Hooks";

    private static final Set<String> TARGETS =
            Set.of("java/util/zip/Inflater", "java/util/zip/Deflater");

    private int placed;

    private Agent() {}

    public static void premain(String options, Instrumentation instrumentation) throws Exception {
        // Loaded before the transformer is there, which names them.
        Class<?>[] targets = {Inflater.class, Deflater.class};
        Agent agent = new Agent();
        instrumentation.addTransformer(agent, true);
        instrumentation.retransformClasses(targets);
        instrumentation.removeTransformer(agent);
        // A constructor and `end()` of each class.
        if (agent.placed != 4) {
            System.err.println("java agent: " + agent.placed + " hooks were placed, not 4");
            Runtime.getRuntime().halt(1);
        }
    }

    @Override
    public byte[] transform(ClassLoader loader, String name, Class<?> redefined,
            ProtectionDomain domain, byte[] bytes) {
        // By name: HotSpot passes `redefined` also for what is loaded meanwhile on this thread.
        if (redefined == null || !TARGETS.contains(name)) {
            return null;
        }
        try {
            ClassReader reader = new ClassReader(bytes);
            ClassWriter writer = new ClassWriter(reader, ClassWriter.COMPUTE_MAXS);
            reader.accept(new Placing(writer, name), 0);
            return writer.toByteArray();
        } catch (RuntimeException e) {
            e.printStackTrace(); // the JVM would swallow it
            return null;
        }
    }

    private final class Placing extends ClassVisitor {
        private final String owner;

        Placing(ClassVisitor next, String owner) {
            super(Opcodes.ASM9, next);
            this.owner = owner;
        }

        @Override
        public MethodVisitor visitMethod(int access, String name, String descriptor,
                String signature, String[] exceptions) {
            MethodVisitor method =
                    super.visitMethod(access, name, descriptor, signature, exceptions);
            if (name.equals("<init>")) {
                return new AtReturn(method, owner);
            }
            return name.equals("end") && descriptor.equals("()V") ? new AtEntry(method) : method;
        }
    }

    private final class AtEntry extends MethodVisitor {
        AtEntry(MethodVisitor next) {
            super(Opcodes.ASM9, next);
        }

        @Override
        public void visitCode() {
            super.visitCode();
            call(this, "ended");
        }
    }

    /** A constructor; one that calls another of its class has nothing to do. */
    private final class AtReturn extends MethodVisitor {
        private final String owner;
        private boolean delegates;

        AtReturn(MethodVisitor next, String owner) {
            super(Opcodes.ASM9, next);
            this.owner = owner;
        }

        @Override
        public void visitMethodInsn(int opcode, String owner, String name, String descriptor,
                boolean isInterface) {
            // A new object of its own class is none that a constructor of these classes makes.
            delegates |= name.equals("<init>") && owner.equals(this.owner);
            super.visitMethodInsn(opcode, owner, name, descriptor, isInterface);
        }

        @Override
        public void visitInsn(int opcode) {
            if (opcode == Opcodes.RETURN && !delegates) {
                call(this, "created");
            }
            super.visitInsn(opcode);
        }
    }

    private void call(MethodVisitor method, String hook) {
        placed++;
        method.visitVarInsn(Opcodes.ALOAD, 0);
        method.visitMethodInsn(
                Opcodes.INVOKESTATIC, HOOKS, hook, "(Ljava/lang/Object;)V", false);
    }
}
