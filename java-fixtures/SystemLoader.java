// The program is its own system class loader, and prints the name of every class that it loads, and
// of the thread.
// expect: inflater created 1, ended 1
// java: -Xshare:off -Djava.system.class.loader=SystemLoader

import java.util.zip.Inflater;

public class SystemLoader extends ClassLoader {
    public SystemLoader(ClassLoader parent) {
        super(parent);
    }

    @Override
    public Class<?> loadClass(String name) throws ClassNotFoundException {
        System.out.println(name + " on " + Thread.currentThread().getName());
        return super.loadClass(name);
    }

    public static void main(String[] args) {
        System.out.println("main");
        new Inflater().end();
    }
}
