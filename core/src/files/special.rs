//! Devices, pipes and names of open descriptors, given instead of a file.
//!
//! In a folder where others may write, anyone can put a pipe or a link where a report goes. So
//! special files are written only where the user means them: names for open descriptors
//! (`/dev/stderr`, `/proc/self/fd/3`), character devices, which only root creates, and pipes that
//! this user or root created; through links only if one of the two created the link. A link of
//! another user is replaced like a file, and every other special file is refused. Invariant: a
//! special file never blocks for longer than the [`Patience`] that its writer has.

use super::Patience;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The pause between two attempts.
const MOMENT: Duration = Duration::from_millis(1);

/// Links that are followed at most; the kernel has the same limit.
const MOST_LINKS: usize = 40;

const ROOT: u32 = 0;

/// A special file that is open for writing.
#[derive(Debug)]
pub(super) struct Special {
    file: File,
    patience: Patience,
}

/// What is at a path.
#[derive(Debug)]
enum Found {
    /// A file that can be replaced, a link that is replaced, or nothing.
    File,
    Folder,
    /// The name of an open descriptor; the path is the one behind the links.
    Descriptor(PathBuf),
    /// A device, a pipe or a socket; the path is the one behind the links.
    Special(PathBuf, Metadata),
    /// No new files are created in `/dev` and `/proc`.
    Nothing,
}

/// Whether `path` is a device, a pipe, a socket, or a name for an open descriptor, directly or
/// through links: reports on demand go there without a number. A link to a file is no such thing:
/// it is replaced, never followed.
pub fn is_special(path: &Path) -> bool {
    !matches!(look(path), Found::File | Found::Folder)
}

/// Whether a report may be written to what is at `path` now.
pub(super) fn check(path: &Path) -> io::Result<()> {
    match look(path) {
        Found::File | Found::Descriptor(_) => Ok(()),
        Found::Folder => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Found::Nothing => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        Found::Special(_, found) => admit(&found),
    }
}

/// Opens the special file at `path`; `None` where a file is to be created or replaced.
pub(super) fn open(path: &Path, mut patience: Patience) -> io::Result<Option<Special>> {
    check(path)?;
    let mut options = File::options();
    // Without blocking: a pipe without a reader is an error (ENXIO), not a wait for ever.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let (path, is_descriptor) = match look(path) {
        Found::Descriptor(path) => (path, true),
        Found::Special(path, _) => (path, false),
        _ => return Ok(None),
    };
    options.append(true).custom_flags(if is_descriptor { flags } else { flags | libc::O_NOFOLLOW });
    let file = loop {
        match options.open(&path) {
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) && patience.awaits_reader() => {
                if !patience.wait(MOMENT) {
                    return Err(error);
                }
            }
            opened => break opened?,
        }
    };
    // The name may stand for another file by now: what counts is the one that is open.
    if !is_descriptor {
        admit(&file.metadata()?)?;
    }
    Ok(Some(Special { file, patience }))
}

fn look(path: &Path) -> Found {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        if names_descriptor(&at) {
            return Found::Descriptor(at);
        }
        let of_system = is_of_system(&at);
        let found = match fs::symlink_metadata(&at) {
            Ok(found) => found,
            Err(_) if of_system => return Found::Nothing,
            Err(_) => return Found::File,
        };
        let kind = found.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(&at);
            let folder = at.parent();
            match (target, folder) {
                (Ok(target), Some(folder)) if of_system || is_trusted(found.uid()) => {
                    at = folder.join(target);
                }
                _ => return Found::File,
            }
        } else if kind.is_dir() {
            return Found::Folder;
        } else if kind.is_file() {
            return Found::File;
        } else {
            return Found::Special(at, found);
        }
    }
    Found::File
}

/// In `/proc`, or directly in `/dev`: only the system creates files there.
fn is_of_system(path: &Path) -> bool {
    path.starts_with("/proc") || path.parent() == Some(Path::new("/dev"))
}

/// `/proc/self/fd/3`, `/dev/fd/3`, `/proc/1/fd/2`.
fn names_descriptor(path: &Path) -> bool {
    let number = path.file_name().and_then(|name| name.to_str());
    if !number.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        return false;
    }
    let folder = path.parent().filter(|_| path.starts_with("/proc") || path.starts_with("/dev/fd"));
    let folder = folder.and_then(|folder| folder.canonicalize().ok());
    folder.is_some_and(|folder| folder.starts_with("/proc") && folder.ends_with("fd"))
}

/// Whether this special file may be written. The error says why not, and what to do.
fn admit(found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if kind.is_char_device() || kind.is_fifo() && is_trusted(found.uid()) {
        Ok(())
    } else if kind.is_fifo() {
        let owner = found.uid();
        refused(format!(
            "it is a named pipe of another user (uid {owner}), who could read the report; \
             create the pipe as the user of this process, or name a file"
        ))
    } else {
        let what = if kind.is_socket() {
            "a socket"
        } else if kind.is_block_device() {
            "a block device"
        } else {
            "another file than a moment ago"
        };
        refused(format!("is {what}, not a file, a named pipe or a descriptor such as /dev/stderr"))
    }
}

/// Whether what this user creates is meant by the user of this process: root can do anything to it
/// anyway.
fn is_trusted(owner: u32) -> bool {
    owner == ROOT || effective_user() == Some(owner)
}

/// The effective user of this process.
fn effective_user() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // Real, effective, saved, of the file system.
    users.split_whitespace().nth(1)?.parse().ok()
}

impl Write for Special {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.patience.wait(MOMENT) {
                        let why = "timed out: the reader of the pipe does not read the report";
                        return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                    }
                }
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::folder;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn pipe(path: &Path) {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn what_stands_for_what() {
        let folder = folder("special-look");
        pipe(&folder.join("pipe"));
        fs::write(folder.join("file"), "").unwrap();
        for (link, target) in [
            ("to-pipe", "pipe"),
            ("to-link", "to-pipe"),
            ("to-file", "file"),
            ("to-folder", "."),
            ("to-nothing", "none"),
            ("to-itself", "to-itself"),
            ("to-null", "/dev/null"),
            ("to-stdout", "/dev/stdout"),
            ("to-descriptor", "/proc/self/fd/1"),
            ("to-new", "/dev/zaudit-none"),
        ] {
            symlink(target, folder.join(link)).unwrap();
        }
        for (name, kind) in [
            ("file", "File"),
            ("none", "File"),
            ("none/7", "File"),
            ("to-file", "File"),
            ("to-nothing", "File"),
            ("to-itself", "File"),
            ("", "Folder"),
            ("to-folder", "Folder"),
            ("pipe", "Special"),
            ("to-pipe", "Special"),
            ("to-link", "Special"),
            ("to-null", "Special"),
            ("to-stdout", "Descriptor"),
            ("to-descriptor", "Descriptor"),
            ("to-new", "Nothing"),
            ("/dev/full", "Special"),
            ("/dev/fd/2", "Descriptor"),
            ("/dev/stderr", "Descriptor"),
            ("/proc/self/fd/2", "Descriptor"),
            ("/proc/thread-self/fd/2", "Descriptor"),
            ("/proc/self/cwd", "Folder"),
            ("/proc/none", "Nothing"),
            ("/dev/shm/zaudit-none", "File"),
        ] {
            let found = format!("{:?}", look(&folder.join(name)));
            assert!(found.starts_with(kind), "{name}: {found}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn sockets_and_block_devices_are_refused() {
        let folder = folder("special-refused");
        let socket = folder.join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        symlink("socket", folder.join("link")).unwrap();
        for name in ["socket", "link"] {
            for error in [
                check(&folder.join(name)).unwrap_err(),
                open(&folder.join(name), Patience::default()).unwrap_err(),
            ] {
                assert!(error.to_string().starts_with("is a socket, not a file"), "{error}");
            }
        }
        let disks = fs::read_dir("/dev").unwrap().flatten().map(|entry| entry.path());
        for disk in disks.filter(|path| {
            fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_block_device())
        }) {
            let error = open(&disk, Patience::default()).unwrap_err();
            assert!(error.to_string().starts_with("is a block device"), "{error}");
        }
        // What replaces a pipe between the look and the opening is looked at again.
        fs::write(folder.join("file"), "").unwrap();
        assert!(admit(&fs::metadata(folder.join("file")).unwrap()).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_pipe_of_this_user_is_admitted() {
        let folder = folder("special-own");
        let path = folder.join("pipe");
        pipe(&path);
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!(effective_user(), Some(found.uid()));
        check(&path).unwrap();
        // Without a reader it is an error at once.
        let error = open(&path, Patience::default()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_reader_that_never_reads_is_given_up() {
        let folder = folder("special-unread");
        let path = folder.join("pipe");
        pipe(&path);
        // Held for both ways, so that no end of it is missing.
        let _held = File::options().read(true).write(true).open(&path).unwrap();
        let mut special =
            open(&path, Patience::Limited(Duration::from_millis(20))).unwrap().unwrap();
        let error = special.write_all(&vec![0; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        fs::remove_dir_all(folder).unwrap();
    }
}
