//! Writing to standard output and to files.
//!
//! Invariant: a closed pipe (`zaudit … | head`) is not an error, and a file is written completely
//! or not at all.

use crate::error::{CliError, Code};
use crate::sys;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use zaudit_core::files::{Patience, Pending, reason};

/// Whether standard output still has a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// It has; the bytes were written.
    There,
    /// The pipe is closed.
    Gone,
}

/// Writes to standard output.
pub(crate) fn write(bytes: &[u8]) -> Result<Reader, CliError> {
    write_with(|to| to.write_all(bytes))
}

/// Writes to standard output what `fill` writes.
pub(crate) fn write_with(
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Reader, CliError> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    match fill(&mut stdout).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => {
            let message = format!("cannot write to standard output: {}", reason(&error));
            Err(CliError::new(Code::Failed, message, ""))
        }
    }
}

/// A file for a report, opened before the report is requested: the last report of an audit is
/// written only once.
#[derive(Debug)]
pub(crate) struct OutputFile {
    path: PathBuf,
    pending: Pending,
}

impl OutputFile {
    /// Opens the file. A pipe without a reader waits for one until the user interrupts.
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        let patience = Patience::Until(sys::interrupted);
        let pending = Pending::create_patiently(0o600, path, patience);
        let pending = pending.map_err(|error| write_error(path, &error))?;
        Ok(Self { path: path.to_path_buf(), pending })
    }

    /// Writes `bytes` and puts the file in its place.
    pub(crate) fn fill(self, bytes: &[u8]) -> Result<(), CliError> {
        self.fill_with(&mut |to| to.write_all(bytes))
    }

    /// Writes what `fill` writes and puts the file in its place. After an error, the file at the
    /// path is as before.
    pub(crate) fn fill_with(
        mut self,
        fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CliError> {
        let filled = fill(&mut self.pending).and_then(|()| self.pending.commit());
        filled.map_err(|error| write_error(&self.path, &error))
    }
}

fn write_error(path: &Path, error: &io::Error) -> CliError {
    let message = format!("cannot write to {}: {}", path.display(), reason(error));
    CliError::new(Code::Failed, message, "name another file with --output")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn planted_links_are_not_followed() {
        let folder = std::env::temp_dir().join(format!("zaudit-output-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (path, target) = (folder.join("r.json"), folder.join("precious"));
        fs::write(&target, "precious").unwrap();
        let pid = std::process::id();
        let guesses: Vec<_> =
            [format!(".r.json.{pid}.tmp"), format!(".zaudit-{pid}.tmp"), "r.json.tmp".into()]
                .into_iter()
                .map(|name| folder.join(name))
                .collect();
        for plant in [
            (|target, path| symlink(target, path)) as fn(&Path, &Path) -> io::Result<()>,
            |target, path| fs::hard_link(target, path),
        ] {
            for planted in guesses.iter().chain([&path]) {
                drop(fs::remove_file(planted));
                plant(&target, planted).unwrap();
            }
            let file = OutputFile::open(&path).unwrap();
            file.fill(b"report").unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"precious");
            assert_eq!(fs::read(&path).unwrap(), b"report");
            assert!(guesses.iter().all(|guess| fs::read(guess).unwrap() == b"precious"));
        }
        drop(OutputFile::open(&path).unwrap());
        // The report, the linked file, and the planted links.
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2 + guesses.len());
        fs::remove_dir_all(folder).unwrap();
    }
}
