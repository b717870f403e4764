//! What goes to standard output and into files.
//!
//! Invariant: a reader that has gone away (`zaudit … | head`) is no failure and gets no message, and a file is there whole
//! or not at all.

use crate::failure::{Code, Failure, reason};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Whether somebody still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// It was written.
    There,
    /// Nobody reads any more.
    Gone,
}

/// Writes to standard output.
pub(crate) fn write(bytes: &[u8]) -> Result<Reader, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => {
            let matter = format!("cannot write to standard output: {}", reason(&error));
            Err(Failure::new(Code::Refused, matter, ""))
        }
    }
}

/// A file that a report is going to, opened before the report is asked for: the last one comes only once.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// The name that it has until it is whole; `None` for a device or a pipe, which has no other.
    temporary: Option<PathBuf>,
    file: File,
}

impl Place {
    /// Opens it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let special = fs::metadata(path).is_ok_and(|found| !found.is_file());
        let temporary = (!special).then(|| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
        });
        let opened = match &temporary {
            Some(temporary) => {
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)
            }
            None => OpenOptions::new().write(true).open(path),
        };
        let file = opened.map_err(|error| cannot(path, &error))?;
        Ok(Self { path: path.to_path_buf(), temporary, file })
    }

    /// Fills it.
    pub(crate) fn fill(mut self, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path.clone();
        self.file.write_all(bytes).map_err(|error| cannot(&path, &error))?;
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &path).map_err(|error| cannot(&path, &error))?;
            self.temporary = None;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    let matter = format!("cannot write to {}: {}", path.display(), reason(error));
    Failure::new(Code::Refused, matter, "name another file with --output")
}
