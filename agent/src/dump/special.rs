//! Devices, pipes and names for open descriptors in the place of a file.
//!
//! Invariant: a special file never blocks for longer than the [`Patience`] that its writer has.

use super::Patience;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// The pause between two attempts.
const MOMENT: Duration = Duration::from_millis(1);

/// A special file that is open for writing.
#[derive(Debug)]
pub(super) struct Special {
    file: File,
    patience: Patience,
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

/// Opens the special file at `path`; `None` where a file is to be created or replaced.
pub(super) fn open(path: &Path, mut patience: Patience) -> io::Result<Option<Special>> {
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if !is_special(path) {
        return Ok(None);
    }
    // Without blocking: a pipe that nobody reads is an error (ENXIO), not a wait for ever.
    let mut options = File::options();
    options.append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC);
    loop {
        match options.open(path) {
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) && patience.awaits_reader() => {
                if !patience.wait(MOMENT) {
                    return Err(error);
                }
            }
            opened => return opened.map(|file| Some(Special { file, patience })),
        }
    }
}

impl Write for Special {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.patience.wait(MOMENT) {
                        return Err(error);
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
