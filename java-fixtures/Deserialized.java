// A serializable subclass: deserialization runs Inflater's constructor, so it makes an instance,
// which is never ended here.
// expect: inflater created 2, ended 1, collected 1
// expect on 8: inflater created 2, ended 1, late 1
// class: Deserialized$Saved

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.util.zip.Inflater;

public class Deserialized {
    static final class Saved extends Inflater implements Serializable {
        private static final long serialVersionUID = 1;
        final int number = 42;
    }

    public static void main(String[] args) throws Exception {
        System.out.println(load(save()));
    }

    private static byte[] save() throws Exception {
        Saved saved = new Saved();
        try {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            ObjectOutputStream out = new ObjectOutputStream(bytes);
            out.writeObject(saved);
            out.close();
            return bytes.toByteArray();
        } finally {
            saved.end();
        }
    }

    private static int load(byte[] bytes) throws Exception {
        ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes));
        return ((Saved) in.readObject()).number;
    }
}
