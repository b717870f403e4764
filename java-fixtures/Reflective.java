// Created and ended by reflection, often enough that the JDK generates an accessor for it; every
// tenth is forgotten.
// expect: inflater created 50, ended 45, collected 5
// expect on 8: inflater created 50, ended 45, late 5

import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.util.zip.Inflater;

public class Reflective {
    public static void main(String[] args) throws Exception {
        Constructor<?> constructor =
                Class.forName("java.util.zip.Inflater").getConstructor(boolean.class);
        Method end = Inflater.class.getMethod("end");
        for (int i = 0; i < 50; i++) {
            once(constructor, end, i % 10 != 0);
        }
        System.out.println("done");
    }

    private static void once(Constructor<?> constructor, Method end, boolean tidy) throws Exception {
        Object inflater = constructor.newInstance(true);
        if (tidy) {
            end.invoke(inflater);
        }
    }
}
