// The program takes SIGUSR1 for itself, says `ready`, and prints each one that comes; ends with its stdin.
// expect: inflater created 1, live 1

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.zip.Inflater;

public class TakesSignal {
    static Inflater kept;

    public static void main(String[] args) throws Exception {
        kept = new Inflater();
        // By reflection: javac hides sun.misc from programs for Java 8.
        Class<?> signal = Class.forName("sun.misc.Signal");
        Class<?> handler = Class.forName("sun.misc.SignalHandler");
        Object printing = Proxy.newProxyInstance(handler.getClassLoader(), new Class<?>[] {handler}, new InvocationHandler() {
            @Override
            public Object invoke(Object proxy, Method method, Object[] arguments) {
                System.out.println("handled " + arguments[0]);
                return null;
            }
        });
        Object usr1 = signal.getConstructor(String.class).newInstance("USR1");
        signal.getMethod("handle", signal, handler).invoke(null, usr1, printing);
        System.out.println("ready");
        System.in.read();
    }
}
