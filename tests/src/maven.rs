//! Maven, which gets libraries and runs builds.

use crate::Result;
use std::process::{Command, Output, Stdio};

/// `mvn` in batch mode, without options for the agent from the environment. It lives for seconds,
/// so neither the best compiler nor a parallel collector pays off.
#[must_use]
pub fn mvn() -> Command {
    let own = std::env::var("MAVEN_OPTS").unwrap_or_default();
    let mut command = Command::new("mvn");
    command
        .args(["-B", "-Dstyle.color=never"])
        .env("MAVEN_OPTS", format!("{own} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"))
        .env_remove("JAVA_TOOL_OPTIONS")
        .env_remove("JDK_JAVA_OPTIONS")
        .env_remove("_JAVA_OPTIONS")
        .env_remove("ZAUDIT_OPTIONS")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(mvn: &mut Command) -> Result<Output> {
    mvn.output().map_err(|error| format!("mvn: {error} (Debian's package maven has it)"))
}
