//! Maven, which gets libraries and runs builds.

use crate::Result;
use std::process::{Command, Output, Stdio};

/// `mvn` in batch mode, without options of the agent and of Maven from the environment. It lives for
/// seconds, in which neither the best compiler nor several threads of a collector pay.
#[must_use]
pub fn mvn() -> Command {
    let mut command = Command::new("mvn");
    command
        .args(["-B", "-Dstyle.color=never"])
        .env("MAVEN_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        .env_remove("JAVA_TOOL_OPTIONS")
        .env_remove("ZAUDIT_OPTIONS")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(mvn: &mut Command) -> Result<Output> {
    mvn.output().map_err(|error| format!("mvn: {error} (Debian's package maven has it)"))
}
