//! Where a report goes: writing a file so that it is whole or not there; names and old files have rooms of their own.
//!
//! Knows nothing of what it writes. Invariant: a regular file is replaced by a rename, so that a reader never
//! sees half a report and a full disk leaves the one before in place.

mod pattern;
mod rotation;

pub use pattern::{Naming, Pattern, utc};
pub use rotation::Rotation;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Writes `bytes` for the process's own user, see [`write_for`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_for(0o600, path, bytes)
}

/// Writes `bytes` to `path`: into a new file beside it, of this mode, that then takes its place; or straight to it
/// where it is no place for files ([`is_special`]).
pub fn write_for(mode: u32, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        _ if is_special(path) => write_special(path, bytes),
        _ => replace(mode, path, bytes),
    }
}

/// Whether `path` is a device, a pipe, a socket, or a name for an open descriptor (`/dev/stderr`, `/proc/self/fd/3`),
/// be it through links: reports on demand go there without a number. A link to a file is no such thing: it is
/// replaced, never followed.
pub fn is_special(path: &Path) -> bool {
    let system = |path: &Path| path.starts_with("/dev") || path.starts_with("/proc");
    let names_descriptor = fs::read_link(path).is_ok_and(|target| system(&target));
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    let other = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    names_descriptor
        || other
        || parent.is_some_and(|parent| system(&parent) && !parent.starts_with("/dev/shm"))
}

/// How long a pipe may keep a report waiting: the program that ends must not hang on a reader that is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opened without blocking: a pipe that nobody reads is an error (ENXIO), not a wait for ever.
fn write_special(path: &Path, mut bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let deadline = Instant::now() + PATIENCE;
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn replace(mode: u32, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(hidden);
    let create = || OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary);
    let file = match create() {
        // Left by an earlier process of the same number that was killed while it wrote.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&temporary)?;
            create()?
        }
        other => other?,
    };
    let written = write_to(file, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The error that counts is the first one; the half file must not stay.
        drop(fs::remove_file(&temporary));
    }
    written
}

fn write_to(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.flush()
}

/// Whether a report could be written to `path` as things stand: asked at start-up, so that a typing error is
/// not found out hours later.
pub fn check(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
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
    use std::path::PathBuf;

    /// A new folder for one test, which deletes it.
    pub(crate) fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("zaudit-dump-{}-{name}", std::process::id()));
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
            is_special(&link) && is_special(Path::new("/dev/stderr")) && !is_special(&folder.join("out.txt"))
        );
        write(&link, b"one ").unwrap();
        write(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(folder.join("out.txt")).unwrap(), b"one two");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_an_error_and_one_that_is_read_gets_all() {
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
        assert_eq!(reason(&write(Path::new("/dev/full"), b"x").unwrap_err()), "No space left on device");
        assert_eq!(reason(&write(&folder, b"x").unwrap_err()), "is a directory");
        assert_eq!(reason(&check(&folder).unwrap_err()), "is a directory");
        assert_eq!(reason(&check(&folder.join("none/r.json")).unwrap_err()), "No such file or directory");
        assert!(check(Path::new("r.json")).is_ok());
        fs::remove_dir_all(folder).unwrap();
    }
}
