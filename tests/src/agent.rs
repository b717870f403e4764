//! The library under test: `ZAUDIT_LIB`, else built here in release mode, as users load it; and the command beside it.
//!
//! Invariant: what is tested was built from this tree, by this run (cargo says in its own messages where it put it).

use crate::{Result, repository, target_dir};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The agent as released.
pub fn library() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| match std::env::var_os("ZAUDIT_LIB") {
            Some(path) if !path.is_empty() => {
                PathBuf::from(path).canonicalize().map_err(|error| format!("ZAUDIT_LIB: {error}"))
            }
            _ => build(&["--release"], target_dir()),
        })
        .clone()
}

/// The agent with its hooks made to panic on demand; it lives in a target directory of its own, so that the released
/// one is never it.
pub fn faulty_library() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            build(&["--release", "--features", "fault-injection"], target_dir().join("fault-injection"))
        })
        .clone()
}

/// The `zaudit` command as released.
pub fn command() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let flags = ["--package", "zaudit-cli", "--bin", "zaudit", "--release"];
            let artifacts = artifacts(&flags, target_dir())?;
            let path = artifacts.iter().find_map(|message| message["executable"].as_str().map(PathBuf::from));
            path.ok_or_else(|| "cargo named no command".into())
        })
        .clone()
}

fn build(flags: &[&str], into: PathBuf) -> Result<PathBuf> {
    artifacts(&[&["--package", "zaudit", "--lib"], flags].concat(), into)?
        .iter()
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .find(|path| path.extension().is_some_and(|extension| extension == "so"))
        .ok_or_else(|| "cargo named no shared library of the agent".into())
}

/// Builds, and gives what cargo says of each artifact that is called `zaudit`.
fn artifacts(flags: &[&str], into: PathBuf) -> Result<Vec<serde_json::Value>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .current_dir(repository())
        .args(["build", "--quiet", "--message-format=json-render-diagnostics"])
        .args(flags)
        .arg("--target-dir")
        .arg(into)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo build {} ended with {}", flags.join(" "), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "zaudit")
        .collect())
}
