//! The other agent, `java-fixtures/tools/OtherAgent.java`, as a jar for `-javaagent`.
//!
//! Invariant: it is made anew for each JVM that wants it, so that nobody waits for anybody.

use crate::command::Said;
use crate::suite::Bench;
use crate::{Result, repository};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes it in `dir`.
pub fn jar(bench: &Bench, dir: &Path) -> Result<PathBuf> {
    let jdk = bench.default_jdk();
    let level: &[&str] = if jdk.major == 8 { &["-source", "8", "-target", "8"] } else { &["--release", "8"] };
    let (classes, manifest, jar) = (dir.join("classes"), dir.join("manifest"), dir.join("other.jar"));
    let lines = "Premain-Class: OtherAgent\nCan-Retransform-Classes: true\n";
    fs::create_dir(&classes).and_then(|()| fs::write(&manifest, lines)).map_err(|error| error.to_string())?;
    let source = repository().join("java-fixtures/tools/OtherAgent.java");
    let mut javac = Command::new(jdk.tool("javac"));
    javac.args(level).args(["-nowarn", "-Xlint:-options", "-d"]).arg(&classes).arg(source);
    let mut archiver = Command::new(jdk.tool("jar"));
    archiver.arg("cfm").args([&jar, &manifest]).arg("-C").arg(&classes).arg(".");
    for command in [&mut javac, &mut archiver] {
        Said::of(command)?.done()?;
    }
    Ok(jar)
}
