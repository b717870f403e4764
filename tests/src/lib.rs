//! What the suites under `tests/` share: JDKs, compiled fixtures, a child JVM as a value, reports
//! read back.
//!
//! Reading order: [`jdks`] says on what, [`fixtures`] and [`expectation`] say what should come
//! out, [`agent`] and [`java_agent`] build what is under test, [`jvm`], [`child`] and [`maven`] run
//! it, [`command`] speaks to it, [`report`] reads what it said, as [`external_tools`] do,
//! [`golden`] compares it with what is stored, and [`suite`] makes the list of cases. Only
//! [`formats`] takes something from the agent, its list of formats: the wire formats are read by
//! structs of the tests' own, so that a renamed field is a failure and not a refactoring.

pub mod agent;
pub mod child;
pub mod command;
pub mod expectation;
pub mod fixtures;
pub mod formats;
pub mod golden;
pub mod java_agent;
pub mod jdks;
pub mod jvm;
pub mod maven;
pub mod once;
pub mod other_agent;
pub mod external_tools;
pub mod report;
pub mod schema;
pub mod suite;

use std::path::{Path, PathBuf};

/// What a helper answers: a value, or why there is none, in words for the person who reads the
/// test's output.
pub type Result<T> = std::result::Result<T, String>;

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository's root")
}

/// Cargo's target directory, found from the running test binary (`<target>/<profile>/deps/<name>`).
#[must_use]
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a running program has a path");
    exe.ancestors()
        .find(|dir| dir.file_name().is_some_and(|name| name == "deps"))
        .and_then(|deps| deps.parent()?.parent())
        .map_or_else(|| repository().join("target"), Path::to_path_buf)
}

/// A file made of other files comes to be under its own name in one step, or not at all: other test
/// binaries may look.
pub fn publish(made: &Path, name: &Path) -> Result<()> {
    match std::fs::rename(made, name) {
        Ok(()) => Ok(()),
        Err(_) if name.exists() => {
            std::fs::remove_dir_all(made).map_err(|error| format!("{}: {error}", made.display()))
        }
        Err(error) => Err(format!("{} -> {}: {error}", made.display(), name.display())),
    }
}
