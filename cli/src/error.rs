//! What can go wrong, as one line on standard error and an exit code.
//!
//! Which code stands for what is the contract with scripts; the words are their finder's. Invariant: a message is one
//! line that says what is the matter and, behind a semicolon, what to do next.

use std::fmt;
use zaudit_core::escape;

/// The exit codes that are not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The agent said no, or something failed that has no code of its own.
    Failed = 1,
    /// The command line, or the agent's options on it, cannot be understood.
    Usage = 2,
    /// There is no such process, or it ended while we waited.
    NoProcess = 3,
    /// The process is not a 64-bit HotSpot JVM.
    NotHotSpot = 4,
    /// The process is somebody else's.
    NotPermitted = 5,
    /// The JVM takes no commands from outside, or no agents.
    AttachOff = 6,
    /// The JVM cannot see or load the library.
    LibraryUnseen = 7,
    /// The JVM is stopped, hangs, or needs longer than we were told to wait.
    NoAnswer = 8,
    /// Ctrl-C: 128 and the signal's number, as shells have it.
    Interrupted = 130,
}

/// Why a command did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CliError {
    /// What the process ends with.
    pub(crate) code: Code,
    /// What is the matter; empty where nobody needs to be told.
    pub(crate) message: String,
    /// What to do next; empty where the matter says it.
    pub(crate) hint: String,
}

impl CliError {
    /// A failure with its matter and an advice.
    pub(crate) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    /// The user has pressed ctrl-C, and knows.
    pub(crate) fn interrupted() -> Self {
        Self::new(Code::Interrupted, "", "")
    }

    /// The process is gone.
    pub(crate) fn gone(pid: i32) -> Self {
        Self::new(Code::NoProcess, format!("process {pid} has ended"), "zaudit ps lists the JVMs that run")
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The words may come from the other process: one line, and nothing that a terminal would obey.
        f.write_str(&one_line(&self.message))?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", one_line(&self.hint)) }
    }
}

/// `text` as one line, with no character that a terminal obeys.
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
