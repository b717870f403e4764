import java.util.zip.ZipInputStream;

/**
 * A call opens a ZipInputStream on null: the constructor throws after its Inflater has been
 * created.
 */
public final class ZipOfNothing {
    private ZipOfNothing() {}

    public static void main(String[] arguments) throws Exception {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            try (ZipInputStream zip = new ZipInputStream(null)) {
                throw new IllegalStateException("null was taken: " + zip);
            } catch (NullPointerException expected) {
                // There is nothing to read from.
            }
        }
    }
}
