//! STAND-IN for `zaudit_tests::jdks`: the same names with the same meaning, to be swapped for it by one `use`.
//!
//! Owns: which JDKs there are, as `scripts/jdks` finds them. Invariant: none at all is an error.

use crate::image::repository;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The releases that the rewriter is shown to work on.
pub(crate) const EXPECTED: [u32; 8] = [8, 11, 17, 21, 25, 26, 27, 28];

/// An unpacked JDK.
#[derive(Clone, Debug)]
pub(crate) struct Jdk {
    /// The feature release.
    pub(crate) major: u32,
    /// Its JAVA_HOME.
    pub(crate) home: PathBuf,
}

impl Jdk {
    /// One of its programs.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }
}

/// All JDKs, by release, one of each.
pub(crate) fn found() -> Result<Vec<Jdk>, String> {
    // The script honours ZAUDIT_JDKS itself, and prints `<major> <JAVA_HOME>` for each JDK that runs here.
    let script = repository().join("scripts/jdks");
    let output = Command::new(&script).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{}: {error}", script.display()))?;
    let mut jdks = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (major, home) = line.split_once(' ').ok_or_else(|| format!("scripts/jdks printed {line:?}"))?;
        let major = major.parse().map_err(|_| format!("scripts/jdks printed {line:?}"))?;
        jdks.push(Jdk { major, home: home.into() });
    }
    jdks.sort_by_key(|jdk| jdk.major);
    jdks.dedup_by_key(|jdk| jdk.major);
    if jdks.is_empty() {
        Err("no JDK at all: run scripts/jdks, or set ZAUDIT_JDKS=/a:/b".into())
    } else {
        Ok(jdks)
    }
}

/// The expected releases that are not among `jdks`, each told on stderr.
pub(crate) fn missing(jdks: &[Jdk]) -> Vec<u32> {
    let gone: Vec<u32> =
        EXPECTED.into_iter().filter(|major| jdks.iter().all(|jdk| jdk.major != *major)).collect();
    for major in &gone {
        eprintln!("SKIPPED: no JDK {major} was found; nothing of it is tested");
    }
    gone
}

/// The JDK that compiles: 17, else the newest.
pub(crate) fn default_jdk(jdks: &[Jdk]) -> Result<&Jdk, String> {
    jdks.iter().find(|jdk| jdk.major == 17).or(jdks.last()).ok_or_else(|| "no JDK at all".into())
}
