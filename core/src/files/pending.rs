//! A file that is not there yet: written under another name in the same folder, and renamed when it
//! is whole.
//!
//! Owns the temporary name and its removal; where special files lead is [`super::special`]'s.
//! Invariant: no file that existed before is opened, changed or removed, except that the rename
//! replaces the entry at the destination.

use super::Patience;
use super::special::{self, Special};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The most bytes that wait in memory until they are written.
const BUFFER: usize = 64 << 10;

/// Names that are tried until one is free. A name has 64 random bits: the second is needed by
/// accident only.
const TRIES: usize = 16;

/// A file that is being written. [`Pending::commit`] makes it visible under its own name; dropped
/// before, it leaves nothing behind. Writes are buffered. A special file is written directly: it
/// has no other name.
#[derive(Debug)]
pub struct Pending {
    /// `None` only while the value is taken apart.
    buffer: Option<BufWriter<Outlet>>,
    path: PathBuf,
}

#[derive(Debug)]
enum Outlet {
    File { file: File, temporary: PathBuf },
    Special(Special),
}

impl Pending {
    /// Creates the temporary file, of this mode, or opens the special file at `path`.
    pub fn create(mode: u32, path: &Path) -> io::Result<Pending> {
        Self::create_patiently(mode, path, Patience::default())
    }

    /// The same; `patience` says how long a special file may block.
    pub fn create_patiently(mode: u32, path: &Path, patience: Patience) -> io::Result<Pending> {
        let outlet = match special::open(path, patience)? {
            Some(special) => Outlet::Special(special),
            None => {
                let (file, temporary) = create_beside(mode, path, &mut token)?;
                Outlet::File { file, temporary }
            }
        };
        Ok(Pending {
            buffer: Some(BufWriter::with_capacity(BUFFER, outlet)),
            path: path.to_owned(),
        })
    }

    /// Writes what is left in the buffer and gives the file its name.
    pub fn commit(mut self) -> io::Result<()> {
        self.flush()?;
        if let Some(Outlet::File { temporary, .. }) = self.buffer.as_ref().map(BufWriter::get_ref) {
            fs::rename(temporary, &self.path)?;
            // Another process may own that name by now: it must not be removed.
            self.discard_buffer();
        }
        Ok(())
    }

    /// Takes the outlet out of its buffer, which would write its rest when it is dropped.
    fn discard_buffer(&mut self) -> Option<Outlet> {
        self.buffer.take().map(|buffer| buffer.into_parts().0)
    }

    fn buffer(&mut self) -> io::Result<&mut BufWriter<Outlet>> {
        self.buffer.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer()?.flush()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(Outlet::File { temporary, .. }) = self.discard_buffer() {
            // The error that counts was returned already.
            drop(fs::remove_file(temporary));
        }
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Outlet::File { file, .. } => file.write(bytes),
            Outlet::Special(special) => special.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Neither has a buffer.
        Ok(())
    }
}

/// A new file in the folder of `path`, and its name. `O_EXCL` refuses every entry that exists,
/// links included.
fn create_beside(
    mode: u32,
    path: &Path,
    token: &mut dyn FnMut() -> u64,
) -> io::Result<(File, PathBuf)> {
    if path.file_name().is_none() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let mut tried = Err(io::Error::from(io::ErrorKind::AlreadyExists));
    for _ in 0..TRIES {
        // The length does not depend on the file's own name, which may be as long as the system
        // allows.
        let temporary = path.with_file_name(name_of(token()));
        tried = options.open(&temporary).map(|file| (file, temporary));
        if !tried.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            break;
        }
    }
    tried
}

fn name_of(token: u64) -> String {
    format!(".zaudit-{token:016x}.tmp")
}

/// 64 bits that other processes cannot guess: the standard library keys its hash function by
/// `getrandom(2)`.
fn token() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    // A forked child has its parent's keys.
    hasher.write_u32(std::process::id());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::folder;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A folder with a file that no report may change, and a check that none did.
    fn precious(name: &str) -> (PathBuf, PathBuf, impl Fn()) {
        let folder = folder(name);
        let target = folder.join("precious");
        fs::write(&target, "precious").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
        let unchanged = {
            let target = target.clone();
            move || {
                assert_eq!(fs::read(&target).unwrap(), b"precious");
                assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o644);
            }
        };
        (folder, target, unchanged)
    }

    fn temporaries(folder: &Path) -> usize {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".tmp")).count()
    }

    #[test]
    fn links_at_the_destination_are_replaced() {
        let (folder, target, unchanged) = precious("pending-destination");
        let path = folder.join("r.json");
        for plant in [
            (|target, path| symlink(target, path)) as fn(&Path, &Path) -> io::Result<()>,
            |target, path| fs::hard_link(target, path),
            |target, path| symlink(target.with_file_name("missing"), path),
        ] {
            drop(fs::remove_file(&path));
            plant(&target, &path).unwrap();
            let mut pending = Pending::create(0o600, &path).unwrap();
            pending.write_all(b"report").unwrap();
            pending.commit().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"report");
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            unchanged();
        }
        assert!(!folder.join("missing").exists());
        assert_eq!(temporaries(&folder), 0);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn whatever_has_the_temporary_name_stays_as_it_is() {
        let (folder, target, unchanged) = precious("pending-temporary");
        let path = folder.join("r.json");
        let planted = |token| folder.join(name_of(token));
        symlink(&target, planted(0)).unwrap();
        symlink(folder.join("missing"), planted(1)).unwrap();
        fs::hard_link(&target, planted(2)).unwrap();
        fs::create_dir(planted(3)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(planted(4)).status().unwrap().success());
        symlink("/dev/null", planted(5)).unwrap();
        let mut tokens = 0..;
        let (file, temporary) =
            create_beside(0o600, &path, &mut || tokens.next().unwrap()).unwrap();
        assert_eq!(temporary, planted(6));
        assert!(file.metadata().unwrap().is_file());
        unchanged();
        assert!(!folder.join("missing").exists());
        // Where every name is taken, that is an error and not an endless search.
        let error = create_beside(0o600, &path, &mut || 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn names_differ_and_say_nothing_of_the_process() {
        let tokens: std::collections::HashSet<u64> = (0..1_000).map(|_| token()).collect();
        assert_eq!(tokens.len(), 1_000);
    }

    #[test]
    fn what_is_not_committed_leaves_nothing_behind() {
        let folder = folder("pending-dropped");
        let path = folder.join("r.json");
        fs::write(&path, "before").unwrap();
        // More than the buffer holds: the temporary file has a part of it.
        let long = vec![b'x'; 3 * BUFFER / 2];
        let mut pending = Pending::create(0o600, &path).unwrap();
        pending.write_all(&long).unwrap();
        pending.write_all(b"y").unwrap();
        assert_eq!(temporaries(&folder), 1);
        drop(pending);
        let failing = |to: &mut dyn Write| {
            to.write_all(&long)?;
            Err(io::Error::other("no"))
        };
        let error = crate::files::write_with(0o600, &path, &mut |to| failing(to)).unwrap_err();
        assert_eq!(error.to_string(), "no");
        // The rename itself can fail, too.
        let pending = Pending::create(0o600, &path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(pending.commit().is_err());
        assert_eq!(temporaries(&folder), 0);
        fs::remove_dir(&path).unwrap();
        crate::files::write_with(0o600, &path, &mut |to| {
            to.write_all(&long)?;
            to.write_all(b"y")
        })
        .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), long.len() as u64 + 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_longest_name_can_be_written() {
        let folder = folder("pending-long");
        let path = folder.join("x".repeat(255));
        crate::files::write(&path, b"report").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"report");
        fs::remove_dir_all(folder).unwrap();
    }
}
