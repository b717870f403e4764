// A library whose package begins with com.sun forgets its Deflaters: it is not the JDK.
// expect: deflater created 6, collected 6
// expect on 8: deflater created 6, late 6
// frame: com.sun.acme.Codec.pack
// says: close the GZIPOutputStream created in Codec.stream()

import com.sun.acme.Codec;
import java.io.IOException;

public class NamedAsJdk {
    public static void main(String[] args) throws IOException {
        for (int i = 0; i < 3; i++) {
            Codec.pack(new byte[100]);
            Codec.stream(new byte[100]);
        }
        System.out.println("done");
    }
}
