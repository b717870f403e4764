// The program handles a signal (its argument; WINCH without one), prints `ready` and each signal
// that arrives, and ends with its stdin.
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
        Object printing = Proxy.newProxyInstance(
                handler.getClassLoader(), new Class<?>[] {handler}, new InvocationHandler() {
            @Override
            public Object invoke(Object proxy, Method method, Object[] arguments) {
                System.out.println("handled " + arguments[0]);
                return null;
            }
        });
        String name = args.length == 0 ? "WINCH" : args[0];
        Object taken = signal.getConstructor(String.class).newInstance(name);
        signal.getMethod("handle", signal, handler).invoke(null, taken, printing);
        System.out.println("ready");
        System.in.read();
    }
}
