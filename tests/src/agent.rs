//! The library under test and the command: those in the folder `ZAUDIT_BUILD`, else built here in
//! release mode, as users build them.
//!
//! Invariant: without `ZAUDIT_BUILD`, what is tested was built from this tree, by this run (cargo
//! says in its own messages where it put it). Scripts build with the same call (`RELEASE`): another
//! choice of packages gives dependencies other features, and all would be built again.

use crate::{Result, repository, target_dir};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The packages that users build.
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

/// The agent and the command.
#[derive(Clone)]
struct Build {
    library: PathBuf,
    command: PathBuf,
}

/// The agent.
pub fn library() -> Result<PathBuf> {
    Ok(build()?.library)
}

/// The `zaudit` command.
pub fn command() -> Result<PathBuf> {
    Ok(build()?.command)
}

/// Finds or builds both, once in each test binary.
fn build() -> Result<Build> {
    static BUILT: OnceLock<Result<Build>> = OnceLock::new();
    BUILT
        .get_or_init(|| match std::env::var_os("ZAUDIT_BUILD") {
            Some(folder) if !folder.is_empty() => {
                let file = |name| {
                    let path = Path::new(&folder).join(name);
                    path.canonicalize()
                        .map_err(|error| format!("ZAUDIT_BUILD: {}: {error}", path.display()))
                };
                Ok(Build { library: file("libzaudit.so")?, command: file("zaudit")? })
            }
            _ => {
                let built = artifacts(&RELEASE, target_dir())?;
                let command = built.iter().find_map(|message| message["executable"].as_str());
                let command = command.ok_or("cargo named no command")?.into();
                Ok(Build { library: shared_library(&built)?, command })
            }
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
