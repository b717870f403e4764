//! `zaudit run` on real JVMs, and what it must refuse.
//!
//! Invariant: the program's exit code, signals and streams are its own.

use super::{Kit, ensure_listed, open_to_all, ready};
use std::fs;
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Trigger;

pub fn run_is_the_program(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let run = |fixture: &str, options: &[&str]| -> Result<Jvm> {
        let mut words = vec![kit.zaudit.to_str().unwrap_or_default(), "run"];
        words.extend(options);
        words.push("--");
        Ok(Jvm::new(jdk, kit.env.fixture(fixture)?)?.under(words))
    };
    let mut running = ready(run("Garbage", &["gc", "file=r.json", "format=json"])?)?;
    ensure_listed(kit, running.pid(), "armed", "Garbage")?;
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
    ensure!(ended.report()?.process.trigger == Trigger::Exit, ended.to_string());
    let ended = run("UncaughtException", &["file=r.json"])?.run()?;
    ensure!(ended.code() == 1, ended.to_string());
    let ended = run("ExitWhileCreating", &["file=r.json"])?.run()?;
    ensure!(ended.code() == 7, ended.to_string());
    let running = ready(run("Garbage", &["file=r.json"])?)?;
    running.signal("TERM")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 143 && ended.dir().join("r.json").exists(), ended.to_string());
    Ok(())
}

/// A start script is not called `java`: its JVMs get the agent by their environment, and what the
/// variable had stays in it.
pub fn run_through_the_environment(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let script = kit.folder.join("start script");
    fs::write(&script, "#!/bin/sh\nexec \"$@\"\n").map_err(|error| error.to_string())?;
    open_to_all(&script)?;
    let (zaudit, script) =
        (kit.zaudit.to_str().unwrap_or_default(), script.to_str().unwrap_or_default());
    let jvm = Jvm::new(jdk, kit.env.fixture("UncaughtException")?)?;
    let jvm = jvm.under([zaudit, "run", "gc", "file=with blank.json", "format=json", "--", script]);
    let ended = jvm.after("export JAVA_TOOL_OPTIONS=-Dour.own=1").run()?;
    ensure!(
        ended.code() == 1 && ended.stderr().contains("-Dour.own=1 \"-agentpath:"),
        ended.to_string()
    );
    ended.report_in("with blank.json").map(|_| ())
}

pub fn run_refuses(kit: &Kit, _: &Jdk) -> Result<()> {
    kit.zaudit(["run", "fromat=json", "--", "java"])?.refused(2, "did you mean \"format\"")?;
    kit.zaudit(["run", "gc", "--", "/nowhere/java"])?
        .refused(1, "cannot run /nowhere/java: No such file")?;
    kit.zaudit(["run", "--library", "/nowhere.so", "--", "java"])?
        .refused(7, "/nowhere.so: No such file")?;
    kit.zaudit(["run", "gc"])?.refused(2, "")?;
    kit.zaudit(["dmp", "1"])?.refused(2, "dump")
}
