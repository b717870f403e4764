package zaudit;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.Arrays;
import java.util.Set;

/**
 * The library and the command of this jar, unpacked once into the user's cache.
 *
 * <p>Their folder is named after a hash of their contents. What is there already is used only if
 * no other user can have written it, and if it is byte for byte what the jar has.
 */
final class Natives {
    static final String LIBRARY = "libzaudit.so";
    static final String COMMAND = "zaudit";

    private Natives() {}

    /** The path of the library. The error message is one line that says what to do. */
    static Path library() throws IOException {
        return unpacked(LIBRARY, "rw-------");
    }

    /** The path of the command, with the library beside it. */
    static Path command() throws IOException {
        library();
        return unpacked(COMMAND, "rwx------");
    }

    private static Path unpacked(String name, String mode) throws IOException {
        String platform = platform();
        byte[] wanted = resource(platform, name);
        String hash = new String(resource(platform, "hash"), StandardCharsets.US_ASCII).trim();
        Path cache = cache();
        try {
            Files.createDirectories(cache);
            Path folder = cache;
            UserPrincipal user = null;
            for (String part : new String[] {"zaudit", "natives", hash}) {
                folder = folder.resolve(part);
                user = makeFolder(folder, user);
            }
            Path file = folder.resolve(name);
            if (!isOurs(file, user, wanted)) {
                write(file, wanted, mode);
            }
            return file;
        } catch (IOException e) {
            throw new IOException(
                    "cannot unpack " + name + " below " + cache + ": " + reason(e)
                            + "; set XDG_CACHE_HOME to a folder of this user", e);
        }
    }

    private static String platform() throws IOException {
        String arch = System.getProperty("os.arch");
        if (arch.equals("amd64")) {
            arch = "x86_64";
        }
        String platform = System.getProperty("os.name").toLowerCase() + "-" + arch;
        if (Natives.class.getResource("natives/" + platform + "/hash") == null) {
            throw new IOException("this jar has no library for " + platform);
        }
        return platform;
    }

    private static byte[] resource(String platform, String name) throws IOException {
        String path = "natives/" + platform + "/" + name;
        try (InputStream in = Natives.class.getResourceAsStream(path)) {
            if (in == null) {
                throw new IOException("this jar has no " + path);
            }
            ByteArrayOutputStream out = new ByteArrayOutputStream(4 << 20);
            byte[] buffer = new byte[64 << 10];
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                out.write(buffer, 0, read);
            }
            return out.toByteArray();
        }
    }

    private static Path cache() {
        String named = System.getenv("XDG_CACHE_HOME");
        if (named != null && Paths.get(named).isAbsolute()) {
            return Paths.get(named);
        }
        return Paths.get(System.getProperty("user.home"), ".cache").toAbsolutePath();
    }

    /** Makes a folder, or checks the one that is there. Returns its owner: this user. */
    private static UserPrincipal makeFolder(Path folder, UserPrincipal user) throws IOException {
        try {
            Files.createDirectory(
                    folder,
                    PosixFilePermissions.asFileAttribute(
                            PosixFilePermissions.fromString("rwx------")));
        } catch (FileAlreadyExistsException e) {
            // As it should be, most of the time.
        }
        PosixFileAttributes found = attributes(folder);
        UserPrincipal owner = user != null ? user : whoWrites(folder);
        if (!found.isDirectory() || !found.owner().equals(owner) || othersWrite(found)) {
            throw new IOException(folder + " is not a folder that only this user can write to");
        }
        return owner;
    }

    /** The user who owns what this process writes: the JDK has no call for that. */
    private static UserPrincipal whoWrites(Path folder) throws IOException {
        Path file = Files.createTempFile(folder, "owner", null);
        try {
            return Files.getOwner(file, LinkOption.NOFOLLOW_LINKS);
        } finally {
            Files.delete(file);
        }
    }

    private static PosixFileAttributes attributes(Path path) throws IOException {
        return Files.readAttributes(
                path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    }

    private static boolean othersWrite(PosixFileAttributes attributes) {
        Set<PosixFilePermission> permissions = attributes.permissions();
        return permissions.contains(PosixFilePermission.GROUP_WRITE)
                || permissions.contains(PosixFilePermission.OTHERS_WRITE);
    }

    private static boolean isOurs(Path file, UserPrincipal user, byte[] wanted)
            throws IOException {
        if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return false;
        }
        PosixFileAttributes found = attributes(file);
        return found.isRegularFile()
                && found.owner().equals(user)
                && !othersWrite(found)
                && found.size() == wanted.length
                && Arrays.equals(Files.readAllBytes(file), wanted);
    }

    /** Another process may do the same at the same time: the file is there as a whole or not. */
    private static void write(Path file, byte[] bytes, String mode) throws IOException {
        Path temporary =
                Files.createTempFile(
                        file.getParent(),
                        file.getFileName() + ".",
                        null,
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString(mode)));
        try {
            Files.write(temporary, bytes);
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            throw new IOException("this file system cannot rename files", e);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    /** The messages of file system exceptions are often no more than the file's name. */
    private static String reason(IOException e) {
        return e.getClass() == IOException.class
                ? e.getMessage()
                : e.getClass().getSimpleName() + ": " + e.getMessage();
    }
}
