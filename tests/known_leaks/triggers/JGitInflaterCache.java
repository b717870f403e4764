import java.io.File;
import java.io.IOException;

import org.eclipse.jgit.lib.Constants;
import org.eclipse.jgit.lib.ObjectId;
import org.eclipse.jgit.lib.ObjectInserter;
import org.eclipse.jgit.lib.ObjectReader;
import org.eclipse.jgit.lib.Repository;
import org.eclipse.jgit.storage.file.FileRepositoryBuilder;

/**
 * A call writes one object into a repository and reads it back; everything is closed. Readers
 * borrow their Inflater from InflaterCache.
 */
public final class JGitInflaterCache {
    private JGitInflaterCache() {}

    public static void main(String[] arguments) throws IOException {
        File folder = new File("repository.git");
        try (Repository repository =
                new FileRepositoryBuilder().setGitDir(folder).setBare().build()) {
            repository.create(true);
            for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
                ObjectId id;
                try (ObjectInserter inserter = repository.newObjectInserter()) {
                    id = inserter.insert(Constants.OBJ_BLOB, new byte[] {(byte) call});
                    inserter.flush();
                }
                try (ObjectReader reader = repository.newObjectReader()) {
                    if (reader.open(id).getBytes()[0] != call) {
                        throw new IllegalStateException("came back changed");
                    }
                }
            }
        }
    }
}
