//! The real programs that read the agent's formats, as the repository's `scripts/readers` finds or
//! gets them.
//!
//! Invariant: a program that cannot be had becomes ignored tests with a line on stderr; nothing
//! passes because nothing read it.

use crate::{Result, repository};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where each program is.
#[derive(Clone, Debug, Default)]
pub struct ExternalTools(BTreeMap<String, PathBuf>);

impl ExternalTools {
    /// Finds or gets them all.
    pub fn ready() -> Result<Self> {
        Self::printed_by("scripts/readers", &[])
    }

    /// Those that this script of the repository prints, of these names or of all.
    pub fn printed_by(script: &str, names: &[&str]) -> Result<Self> {
        let script = repository().join(script);
        let output = Command::new(&script)
            .args(names)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("{}: {error}", script.display()))?;
        if !matches!(output.status.code(), Some(0 | 1)) {
            return Err(format!("{} ended with {}", script.display(), output.status));
        }
        let line = |line: &str| {
            line.split_once(' ').map(|(name, path)| (name.to_owned(), PathBuf::from(path)))
        };
        Ok(Self(String::from_utf8_lossy(&output.stdout).lines().filter_map(line).collect()))
    }

    /// Whether all of these are there.
    #[must_use]
    pub fn have(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.0.contains_key(*name))
    }

    /// Where this one is.
    pub fn path(&self, name: &str) -> Result<&Path> {
        self.0.get(name).map(PathBuf::as_path).ok_or_else(|| format!("there is no {name}"))
    }

    /// A command that runs it.
    pub fn command(&self, name: &str) -> Result<Command> {
        self.path(name).map(Command::new)
    }
}
