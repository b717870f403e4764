//! The `zaudit` command, run on a child as a user runs it, and what it said.
//!
//! Building it is [`crate::agent`]'s. Invariant: it is the released command with the library under
//! test, and nothing of the caller's own Java or zaudit environment reaches it.

use crate::ensure;
use crate::report::Report;
use crate::suite::TestEnv;
use crate::{Result, agent};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The command, and the library that it gives to JVMs.
#[derive(Clone, Debug)]
pub struct Zaudit {
    /// A command that runs it, and what it runs; nothing else if it runs by itself.
    under: Vec<OsString>,
    program: PathBuf,
    library: PathBuf,
}

impl Zaudit {
    /// Builds it.
    pub fn ready(env: &TestEnv) -> Result<Self> {
        Ok(Self::at(agent::command()?, env.library.clone()))
    }

    /// Another one than that of this build.
    #[must_use]
    pub fn at(program: PathBuf, library: PathBuf) -> Self {
        Self { under: Vec::new(), program, library }
    }

    /// The same under a command that runs it, such as an emulator.
    #[must_use]
    pub fn under<S: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = S>) -> Self {
        let under = command.into_iter().map(|word| word.as_ref().to_owned()).collect();
        Self { under, ..self.clone() }
    }

    /// The same with another file as library.
    #[must_use]
    pub fn with_library(&self, library: PathBuf) -> Self {
        Self { library, ..self.clone() }
    }

    /// `zaudit SUBCOMMAND PID WORDS…`, not started yet.
    #[must_use]
    pub fn prepare(&self, subcommand: &str, pid: u32, words: &[&str]) -> Command {
        let mut command = match self.under.split_first() {
            Some((first, others)) => {
                let mut command = Command::new(first);
                command.args(others).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        for name in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "ZAUDIT_OPTIONS"] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8").env("ZAUDIT_LIBRARY", &self.library).stdin(Stdio::null());
        command.arg(subcommand).arg(pid.to_string()).args(words);
        command
    }

    /// Runs it to its end.
    pub fn ask(&self, subcommand: &str, pid: u32, words: &[&str]) -> Result<Said> {
        Said::of(&mut self.prepare(subcommand, pid, words))
    }

    /// Has a report, from `dump` or `disarm`, and checks what must hold in every one.
    pub fn report(&self, subcommand: &str, pid: u32, words: &[&str]) -> Result<Report> {
        let words = [&["--format", "json"], words].concat();
        Report::parse(&self.ask(subcommand, pid, &words)?.done()?)
    }
}

/// What the command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; none if a signal killed it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// Its complaints.
    pub stderr: String,
}

/// What attaching to some JVMs says on stderr.
pub const RECOMPILES: &str = "zaudit: note: this JVM compiles its code again now (JDK-8324241)";

impl Said {
    /// Runs `command` to its end.
    pub fn of(command: &mut Command) -> Result<Self> {
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }

    /// Ensures that it succeeded, without a word on stderr but [`RECOMPILES`], and returns what it
    /// printed.
    pub fn done(self) -> Result<String> {
        let silent = self.stderr.is_empty() || self.recompiles();
        ensure!(self.code == Some(0) && silent, "not done: {self:?}");
        Ok(self.stdout)
    }

    /// Whether it says on stderr that the JVM compiles its code again, and nothing else.
    pub fn recompiles(&self) -> bool {
        self.stderr.starts_with(RECOMPILES) && self.stderr.lines().count() == 1
    }

    /// Ensures that it refused with this exit code, in one line that has these words.
    pub fn refused(self, code: i32, words: &str) -> Result<()> {
        let one_line =
            self.stderr.starts_with("zaudit: ") && self.stderr.trim_end().lines().count() == 1;
        let right =
            self.code == Some(code) && self.stdout.is_empty() && self.stderr.contains(words);
        ensure!(one_line && right, "{code} and {words:?} expected: {self:?}");
        Ok(())
    }
}
