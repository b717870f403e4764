//! The library under test: `ZAUDIT_LIB`, else built here in release mode, as users load it; and the
//! command beside it.
//!
//! Invariant: what is tested was built from this tree, by this run (cargo says in its own messages
//! where it put it). Every build of a release in this repository, in scripts too, is the same call
//! of cargo (`RELEASE`): another choice of packages gives dependencies other features, and all
//! would be built again.

use crate::{Result, repository, target_dir};
use serde_json::Value;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The packages of a release.
const RELEASE: [&str; 5] = ["--release", "--package", "zaudit", "--package", "zaudit-cli"];

/// The agent whose hooks and allocations fail on demand. It is optimised, but not linked as a
/// whole: nothing is measured on it, and that takes most of the time that a build takes.
const FAULTY: [&str; 10] = [
    "--release",
    "--package",
    "zaudit",
    "--lib",
    "--features",
    "fault-injection",
    "--config",
    "profile.release.lto=\"off\"",
    "--config",
    "profile.release.codegen-units=16",
];

/// The agent as released.
pub fn library() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| match std::env::var_os("ZAUDIT_LIB") {
            Some(path) if !path.is_empty() => {
                PathBuf::from(path).canonicalize().map_err(|error| format!("ZAUDIT_LIB: {error}"))
            }
            _ => shared_library(&release()?),
        })
        .clone()
}

/// The agent with its hooks made to panic on demand; it lives in a target directory of its own, so
/// that the released one is never it.
pub fn faulty_library() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| shared_library(&artifacts(&FAULTY, target_dir().join("fault-injection"))?))
        .clone()
}

/// The `zaudit` command as released.
pub fn command() -> Result<PathBuf> {
    let path =
        release()?.iter().find_map(|message| message["executable"].as_str().map(PathBuf::from));
    path.ok_or_else(|| "cargo named no command".into())
}

/// Builds library and command, once in each test binary.
fn release() -> Result<Vec<Value>> {
    static BUILT: OnceLock<Result<Vec<Value>>> = OnceLock::new();
    BUILT.get_or_init(|| artifacts(&RELEASE, target_dir())).clone()
}

fn shared_library(artifacts: &[Value]) -> Result<PathBuf> {
    artifacts
        .iter()
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .find(|path| path.extension().is_some_and(|extension| extension == "so"))
        .ok_or_else(|| "cargo named no shared library of the agent".into())
}

/// Builds, and gives what cargo says of each artifact that is called `zaudit`.
fn artifacts(flags: &[&str], into: PathBuf) -> Result<Vec<Value>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .current_dir(repository())
        .args(["build", "--locked", "--quiet", "--message-format=json-render-diagnostics"])
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
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| {
            message["reason"] == "compiler-artifact" && message["target"]["name"] == "zaudit"
        })
        .collect())
}
