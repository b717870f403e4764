//! `zaudit-agent.jar` with the library and the command under test in it, and programs that call its
//! API.
//!
//! Invariant: each test binary builds the jar once, by `scripts/java`, and has it in a folder of
//! its own.

use crate::command::Said;
use crate::suite::TestEnv;
use crate::{Result, agent, repository, target_dir};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What was built.
#[derive(Clone, Debug)]
pub struct JavaAgent {
    /// The jar.
    pub jar: PathBuf,
    /// `java-fixtures/api/` as classes of Java 8.
    pub classes: PathBuf,
}

impl JavaAgent {
    /// Builds both.
    pub fn ready(env: &TestEnv) -> Result<Self> {
        static BUILT: OnceLock<Result<JavaAgent>> = OnceLock::new();
        BUILT.get_or_init(|| build(env)).clone()
    }
}

fn build(env: &TestEnv) -> Result<JavaAgent> {
    let suite = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = target_dir().join("java").join(suite.file_name().unwrap_or_default());
    let (natives, classes) = (target.join("under-test"), target.join("api"));
    for folder in [&natives, &classes] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    for (from, name) in [(&env.library, "libzaudit.so"), (&agent::command()?, "zaudit")] {
        fs::copy(from, natives.join(name))
            .map_err(|error| format!("{}: {error}", from.display()))?;
    }
    let mut script = Command::new(repository().join("scripts/java"));
    script.arg(&target).arg(format!("{}={}", std::env::consts::ARCH, natives.display()));
    let said = Said::of(&mut script)?.done()?;
    let jar = PathBuf::from(said.trim());
    compile(env, &jar, &classes)?;
    Ok(JavaAgent { jar, classes })
}

fn compile(env: &TestEnv, jar: &Path, into: &Path) -> Result<()> {
    let jdk = env.default_jdk();
    let mut javac = jdk.javac_for(8);
    javac.args(["-nowarn", "-Xlint:-options", "-cp"]).arg(jar).arg("-d").arg(into);
    javac.arg(repository().join("java-fixtures/api/AsksZaudit.java"));
    Said::of(&mut javac)?.done().map(drop)
}
