//! One command to the agent in a JVM, and what comes back: its return code, its words, its report.
//!
//! Owns the options string that commands are made of, and the files through which the agent answers. Invariant: those
//! files bear names that nobody can guess, are believed only as regular files of the JVM's own user, and are gone when
//! the errand is over.

use crate::duration::Deadline;
use crate::error::{CliError, Code};
use crate::hotspot::attach::{self, LONGEST_ARGUMENT};
use crate::reply::{self, Reply};
use crate::sys;
use crate::target::Target;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zaudit_core::files::reason;

/// The largest answer and the largest report that are taken from another process.
const LARGEST: (u64, u64) = (1 << 20, 1 << 30);

/// What an agent is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct AgentRequest<'a> {
    /// `arm`, `dump` …
    pub(crate) command: &'static str,
    /// More options, in the agent's own syntax.
    pub(crate) options: &'a [String],
    /// Whether a report is to come back.
    pub(crate) report: bool,
}

/// What came back from an agent that did as it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// Its words.
    pub(crate) text: String,
    /// The report that was asked for, if there was one to be had.
    pub(crate) report: Option<Vec<u8>>,
}

impl AgentRequest<'_> {
    /// Has it done by the agent in `library`.
    pub(crate) fn run(
        &self,
        target: &Target,
        library: &Path,
        deadline: &Deadline,
    ) -> Result<Answer, CliError> {
        let stem = format!(".zaudit-{}-{}", target.status.own_pid, token()?);
        // All that follows is done as the JVM's user: it speaks to nobody else, and his files are not root's to follow.
        let _guise = target.impersonate()?;
        let answer = ResponseFile { folder: target.temporary(), name: format!("{stem}-answer") };
        let report = ResponseFile { folder: target.temporary(), name: format!("{stem}-report") };
        let options = self.text(&report, &answer)?;
        let words = [b"load".as_slice(), library.as_os_str().as_bytes(), b"true", options.as_bytes()];
        if library.as_os_str().len() > LONGEST_ARGUMENT {
            let message = format!(
                "a JVM takes no path of more than {LONGEST_ARGUMENT} bytes, such as {}",
                library.display()
            );
            return Err(CliError::new(
                Code::Usage,
                message,
                "copy the library elsewhere, and name it with --library",
            ));
        }
        let code = loop {
            match Reply::parse(&attach::request(target, &words, deadline)?) {
                Reply::Returned(code) => break code,
                Reply::Unasked(said) => return Err(reply::unasked(target.pid, library, &said)),
                Reply::TooEarly => attach::wait_for_start(target, deadline)?,
            }
        };
        let told = answer.read(target, LARGEST.0).unwrap_or_default();
        let text = String::from_utf8_lossy(&told).into_owned();
        if code != 0 {
            let silent = format!("the agent in process {} refused (code {code}) without a word", target.pid);
            let message = if text.trim().is_empty() { silent } else { text };
            return Err(CliError::new(if code == 2 { Code::Usage } else { Code::Failed }, message, ""));
        }
        let report = match self.report.then(|| report.read(target, LARGEST.1)) {
            None => None,
            Some(Ok(bytes)) => Some(bytes),
            // An audit that had not begun ends without one; the agent's words say so.
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Some(Err(error)) => return Err(lost(target, &reason(&error))),
        };
        Ok(Answer { text, report })
    }

    /// `dump,format=json,file=…,answer=…`. Ours come last: of two values the last holds.
    fn text(&self, report: &ResponseFile<'_>, answer: &ResponseFile<'_>) -> Result<String, CliError> {
        let mut items = vec![self.command.to_owned()];
        items.extend(self.options.iter().cloned());
        if self.report {
            items.push(format!("file=/tmp/{}", report.name));
        }
        items.push(format!("reply_file=/tmp/{}", answer.name));
        let text = items.join(",");
        if text.len() <= LONGEST_ARGUMENT {
            return Ok(text);
        }
        let message =
            format!("the options come to {} bytes, and a JVM takes {LONGEST_ARGUMENT} at a time", text.len());
        Err(CliError::new(
            Code::Usage,
            message,
            "put them into a file that the JVM can read, and give @FILE instead",
        ))
    }
}

/// The report that was asked for has not come.
pub(crate) fn lost(target: &Target, why: &str) -> CliError {
    let message = format!("the report of process {} has not come: {why}", target.pid);
    CliError::new(Code::Failed, message, "see the standard error of that process")
}

/// 64 random bits in letters.
fn token() -> Result<String, CliError> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).map_err(|error| {
        CliError::new(Code::Failed, format!("/dev/urandom: {}", reason(&error)), "the system must have one")
    })?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

/// A file that the agent writes for us in its `/tmp`. It goes with its value.
struct ResponseFile<'a> {
    folder: BorrowedFd<'a>,
    name: String,
}

impl ResponseFile<'_> {
    fn read(&self, target: &Target, largest: u64) -> io::Result<Vec<u8>> {
        // Without waiting: a pipe in its place would hold us for ever.
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::from(sys::open_at(self.folder, &OsString::from(&self.name), flags, 0)?);
        let found = file.metadata()?;
        if !found.is_file() || found.uid() != target.status.user {
            return Err(io::Error::other("the file is not the JVM's own"));
        }
        if found.len() > largest {
            return Err(io::Error::other(format!("the file has more than {largest} bytes")));
        }
        let mut bytes = Vec::new();
        file.take(largest).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for ResponseFile<'_> {
    fn drop(&mut self) {
        // Most often it is there and goes; where the agent never came to write it, there is nothing to remove.
        let _ = sys::unlink_at(self.folder, &OsString::from(&self.name));
    }
}
