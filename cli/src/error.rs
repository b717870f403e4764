//! Errors of the command: one line on standard error and an exit code.
//!
//! Owns the exit codes, which scripts rely on. Invariant: an error is one line that says what
//! failed and, after a semicolon, what to do next.

use std::fmt;
use zaudit_core::escape;

/// The exit codes other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The agent refused, or there was a failure that has no code of its own.
    Failed = 1,
    /// The command line is invalid, or the agent's options on it, or a file is not a report.
    Usage = 2,
    /// There is no such process, or it ended meanwhile.
    NoProcess = 3,
    /// The process is not a 64-bit HotSpot JVM.
    NotHotSpot = 4,
    /// The process belongs to another user.
    NotPermitted = 5,
    /// The JVM accepts no attach commands, or no agents.
    AttachOff = 6,
    /// The JVM cannot see or load the library.
    LibraryUnseen = 7,
    /// The JVM is stopped, hangs, or takes longer than the timeout.
    NoAnswer = 8,
    /// Ctrl-C: 128 plus the signal's number, as in shells.
    Interrupted = 130,
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CliError {
    /// The exit code of the process.
    pub(crate) code: Code,
    /// What failed; empty if no message is needed.
    pub(crate) message: String,
    /// What to do next; empty if the message says it.
    pub(crate) hint: String,
}

impl CliError {
    /// An error with its message and its hint.
    pub(crate) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    /// The user has pressed ctrl-C, which needs no message.
    pub(crate) fn interrupted() -> Self {
        Self::new(Code::Interrupted, "", "")
    }

    /// The process has ended.
    pub(crate) fn gone(pid: i32) -> Self {
        Self::new(
            Code::NoProcess,
            format!("process {pid} has ended"),
            "zaudit ps lists the running JVMs",
        )
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may come from the other process.
        f.write_str(&one_line(&self.message))?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", one_line(&self.hint)) }
    }
}

/// `text` in one line, with hostile characters escaped.
pub(crate) fn one_line(text: &str) -> String {
    escape::text(&text.trim().replace(['\n', '\r', '\t'], " ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_that_no_terminal_obeys() {
        let error = CliError::new(Code::Failed, "a\nb\x1b[2J", "do\tthis\n");
        assert_eq!(error.to_string(), "a b\\u{1b}[2J; do this");
        assert_eq!(CliError::new(Code::Failed, "so", "").to_string(), "so");
    }

    #[test]
    fn no_hostile_character_is_in_a_message() {
        let hostile: String = escape::samples().collect();
        let error = CliError::new(Code::Failed, format!("a{hostile}b"), format!("a{hostile}b"));
        assert!(!error.to_string().contains(escape::is_hostile), "{error:?}");
    }
}
