//! Agents of another kind (java.lang.instrument), made of sources under `java-fixtures/`, as jars
//! for `-javaagent`.
//!
//! Invariant: each JVM that needs one gets a jar of its own, so that no test waits for another.

use crate::command::Said;
use crate::suite::TestEnv;
use crate::{Result, repository};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `tools/OtherAgent.java`, made in `dir`.
pub fn jar(env: &TestEnv, dir: &Path) -> Result<PathBuf> {
    made(env, dir, "OtherAgent", &["tools/OtherAgent.java"])
}

/// `redefined/Redefining.java`, made in `dir`, which then has the versions of its class `Made` in
/// folders.
pub fn redefining(env: &TestEnv, dir: &Path) -> Result<PathBuf> {
    for (version, source) in [
        ("first", "redefined/Made.java"),
        ("moved", "redefined/moved/Made.java"),
        ("grown", "redefined/grown/Made.java"),
    ] {
        compile(env, &dir.join(version), &[source])?;
    }
    made(env, dir, "Redefining", &["redefined/Redefining.java", "redefined/Made.java"])
}

/// The agent `name` of these sources.
fn made(env: &TestEnv, dir: &Path, name: &str, sources: &[&str]) -> Result<PathBuf> {
    let (classes, manifest, jar) =
        (dir.join("classes"), dir.join("manifest"), dir.join("other.jar"));
    compile(env, &classes, sources)?;
    let able = "Can-Retransform-Classes: true\nCan-Redefine-Classes: true\n";
    let names =
        format!("Premain-Class: {name}\nLauncher-Agent-Class: {name}\nMain-Class: {name}\n");
    fs::write(&manifest, format!("{names}{able}")).map_err(|error| error.to_string())?;
    let mut archiver = Command::new(env.default_jdk().tool("jar"));
    archiver.arg("cfm").args([&jar, &manifest]).arg("-C").arg(&classes).arg(".");
    Said::of(&mut archiver)?.done()?;
    Ok(jar)
}

/// Compiles for every release.
fn compile(env: &TestEnv, into: &Path, sources: &[&str]) -> Result<()> {
    let jdk = env.default_jdk();
    fs::create_dir(into).map_err(|error| error.to_string())?;
    let sources = sources.iter().map(|source| repository().join("java-fixtures").join(source));
    let mut javac = jdk.javac_for(8);
    javac.args(["-nowarn", "-Xlint:-options", "-d"]).arg(into).args(sources);
    Said::of(&mut javac)?.done().map(drop)
}
