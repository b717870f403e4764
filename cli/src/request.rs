//! One request to the agent in a JVM, and its answer: return code, message, report.
//!
//! Owns the options string of a request, and the files through which the agent answers. Invariant:
//! the names of those files cannot be guessed, the files count only if they are regular and belong
//! to the JVM's user, and they are removed at the end of the request.

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
use std::time::Duration;
use zaudit_core::files::reason;

/// The largest message and the largest report that are read, in bytes.
const LARGEST: (u64, u64) = (1 << 20, 1 << 30);

/// How long a JVM may take to end that began to before it had answered in full.
const DYING: Duration = Duration::from_secs(2);

/// A command for the agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentRequest<'a> {
    /// The agent's command: `arm`, `dump` …
    pub(crate) command: &'static str,
    /// Further options, in the agent's syntax.
    pub(crate) options: &'a [String],
    /// Whether the agent should write a report for us.
    pub(crate) report: bool,
}

/// The answer to a request that succeeded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// The agent's message.
    pub(crate) text: String,
    /// The requested report, if the agent wrote one.
    pub(crate) report: Option<Vec<u8>>,
}

impl AgentRequest<'_> {
    /// Sends the request to the agent in `library`.
    pub(crate) fn run(
        &self,
        target: &Target,
        library: &Path,
        deadline: &Deadline,
    ) -> Result<Answer, CliError> {
        let stem = format!(".zaudit-{}-{}", target.status.own_pid, token()?);
        // As the JVM's user: the JVM accepts no other peer, and root must not follow links that
        // this user has planted.
        let _user = target.impersonate()?;
        let answer = ResponseFile { folder: target.temporary(), name: format!("{stem}-answer") };
        let report = ResponseFile { folder: target.temporary(), name: format!("{stem}-report") };
        let options = self.text(&report, &answer)?;
        let words =
            [b"load".as_slice(), library.as_os_str().as_bytes(), b"true", options.as_bytes()];
        if library.as_os_str().len() > LONGEST_ARGUMENT {
            let message = format!(
                "the path {} is longer than the {LONGEST_ARGUMENT} bytes that a JVM accepts",
                library.display()
            );
            return Err(CliError::new(
                Code::Usage,
                message,
                "copy the library to a shorter path, and name it with --library",
            ));
        }
        let code = loop {
            match Reply::parse(&attach::request(target, &words, deadline)?) {
                Reply::Returned(code) => break code,
                // A JVM that exits while it answers gets as far as the first line.
                Reply::NotLoaded(text) if text.is_empty() && target.ends_within(DYING) => {
                    return Err(CliError::gone(target.pid));
                }
                Reply::NotLoaded(text) => {
                    return Err(reply::not_loaded(target.pid, library, &text));
                }
                Reply::TooEarly => attach::wait_for_start(target, deadline)?,
            }
        };
        let message = answer.read(target, LARGEST.0).unwrap_or_default();
        let text = String::from_utf8_lossy(&message).into_owned();
        if code != 0 {
            let silent = format!(
                "the agent in process {} failed with code {code} and no message",
                target.pid
            );
            let message = if text.trim().is_empty() { silent } else { text };
            return Err(CliError::new(
                if code == 2 { Code::Usage } else { Code::Failed },
                message,
                "",
            ));
        }
        let report = match self.report.then(|| report.read(target, LARGEST.1)) {
            None => None,
            Some(Ok(bytes)) => Some(bytes),
            // An audit that had not started ends without a report; the agent's message says so.
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Some(Err(error)) => return Err(lost(target, &reason(&error))),
        };
        Ok(Answer { text, report })
    }

    /// `dump,format=json,file=…,reply_file=…`. Our own options come last, because the last value
    /// wins.
    fn text(
        &self,
        report: &ResponseFile<'_>,
        answer: &ResponseFile<'_>,
    ) -> Result<String, CliError> {
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
        let message = format!(
            "the options are {} bytes long, and a JVM accepts {LONGEST_ARGUMENT}",
            text.len()
        );
        Err(CliError::new(
            Code::Usage,
            message,
            "put them into a file that the JVM can read, and give @FILE instead",
        ))
    }
}

/// The error for a requested report that did not arrive.
pub(crate) fn lost(target: &Target, why: &str) -> CliError {
    let message = format!("no report was received from process {}: {why}", target.pid);
    CliError::new(Code::Failed, message, "see the standard error of that process")
}

/// 64 random bits as hexadecimal digits.
fn token() -> Result<String, CliError> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).map_err(
        |error| {
            CliError::new(Code::Failed, format!("cannot read /dev/urandom: {}", reason(&error)), "")
        },
    )?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

/// A file that the agent writes for us in its `/tmp`. It is removed when this value is dropped.
struct ResponseFile<'a> {
    folder: BorrowedFd<'a>,
    name: String,
}

impl ResponseFile<'_> {
    fn read(&self, target: &Target, largest: u64) -> io::Result<Vec<u8>> {
        // O_NONBLOCK: a pipe in its place would block for ever.
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::from(sys::open_at(self.folder, &OsString::from(&self.name), flags, 0)?);
        let found = file.metadata()?;
        if !found.is_file() || found.uid() != target.status.user {
            return Err(io::Error::other("the file does not belong to the JVM's user"));
        }
        if found.len() > largest {
            return Err(io::Error::other(format!("the file is larger than {largest} bytes")));
        }
        let mut bytes = Vec::new();
        file.take(largest).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for ResponseFile<'_> {
    fn drop(&mut self) {
        // If the agent did not write it, there is nothing to remove.
        let _ = sys::unlink_at(self.folder, &OsString::from(&self.name));
    }
}
