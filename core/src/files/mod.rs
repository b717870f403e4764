//! Writing a file so that it is complete or absent; names and old files have modules of their own.
//!
//! Knows nothing of what it writes. Invariant: a regular file is replaced by a rename, so that a
//! reader never sees half a report and a full disk leaves the one before in place.

mod patience;
mod pattern;
mod pending;
mod rotation;
mod special;

pub use patience::{Patience, ending};
pub use pattern::{Naming, Pattern, utc};
pub use pending::Pending;
pub use rotation::Rotation;
pub use special::is_special;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` for the process's own user, see [`write_for`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_for(0o600, path, bytes)
}

/// Writes `bytes` to `path`, see [`write_with`].
pub fn write_for(mode: u32, path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(mode, path, &mut |to| to.write_all(bytes))
}

/// Writes what `fill` writes to `path`: into a new file beside it, of this mode, that then takes
/// its place; or directly where it is no place for files ([`is_special`]). The writer that `fill`
/// gets is buffered. After an error the file at `path` is as it was; a special file may have
/// received a part.
pub fn write_with(
    mode: u32,
    path: &Path,
    fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut pending = Pending::create(mode, path)?;
    fill(&mut pending)?;
    pending.commit()
}

/// Whether a report can be written to `path` now: checked at start-up, so that a wrong path is
/// not found out hours later.
pub fn check(path: &Path) -> io::Result<()> {
    special::check(path)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    Ok(())
}

/// An I/O error in the words of the system, without Rust's `(os error 28)`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs::File;
    use std::path::PathBuf;

    /// A new folder for one test, which deletes it.
    pub(crate) fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("zaudit-dump-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("replace");
        let path = folder.join("r.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        write_for(0o640, &path, b"three").unwrap();
        assert_eq!(mode(), 0o640);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_link_to_a_file_is_replaced_and_not_followed() {
        let folder = folder("link");
        let (target, link) = (folder.join("precious"), folder.join("r.json"));
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"report").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert_eq!(fs::read(&link).unwrap(), b"report");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_name_for_a_descriptor_stays_what_it_is() {
        use std::os::fd::AsRawFd;
        let folder = folder("descriptor");
        let file = File::create(folder.join("out.txt")).unwrap();
        let link = folder.join("stdout");
        std::os::unix::fs::symlink(format!("/proc/self/fd/{}", file.as_raw_fd()), &link).unwrap();
        assert!(
            is_special(&link)
                && is_special(Path::new("/dev/stderr"))
                && !is_special(&folder.join("out.txt"))
        );
        write(&link, b"one ").unwrap();
        write(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(folder.join("out.txt")).unwrap(), b"one two");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_pipe_without_a_reader_is_an_error_and_one_with_a_reader_gets_all() {
        let folder = folder("pipe");
        let path = folder.join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(write(&path, b"x").is_err());
        let long = vec![7; 1 << 20];
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read(path).unwrap()
        });
        // The reader opens the pipe when it comes to it.
        while write(&path, &long).is_err_and(|error| error.raw_os_error() == Some(libc::ENXIO)) {
            std::thread::yield_now();
        }
        assert!(reader.join().unwrap() == long);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn errors_say_why() {
        let folder = folder("errors");
        assert_eq!(
            reason(&write(Path::new("/dev/full"), b"x").unwrap_err()),
            "No space left on device"
        );
        assert_eq!(reason(&write(&folder, b"x").unwrap_err()), "is a directory");
        assert_eq!(reason(&check(&folder).unwrap_err()), "is a directory");
        assert_eq!(
            reason(&check(&folder.join("none/r.json")).unwrap_err()),
            "No such file or directory"
        );
        assert!(check(Path::new("r.json")).is_ok());
        fs::remove_dir_all(folder).unwrap();
    }
}
