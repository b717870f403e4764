//! What one command or audit leaves to the next, or to the JVM's end: nothing that hinders it.
//!
//! Invariant: where something of the kind went wrong the case hangs or differs; none looks at a
//! clock.

use super::{Kit, ensure_unharmed, ready};
use std::fs;
use std::process::{Command, Stdio};
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Trigger;

/// Frees that come between the last report of an audit and its end must not keep those of the next
/// one from the ledger, even if no report is requested.
pub fn second_audit_hears_of_frees(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, kit.env.fixture("FloodOfFrees")?)?.flags(["-Xmx48m"]);
    let mut running = ready(jvm)?;
    for _ in 0..12 {
        kit.ask("attach", running.pid(), &[])?.done()?;
        let mut looks = 0;
        let collected_nothing = |status: &str| {
            status
                .lines()
                .any(|line| line.starts_with("inflaters:") && line.contains(" collected 0, "))
        };
        while collected_nothing(&kit.ask("status", running.pid(), &[])?.done()?) {
            looks += 1;
            ensure!(looks < 500, "nothing is collected, says the status");
        }
        kit.ask("disarm", running.pid(), &[])?.done()?;
    }
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 0, ended.to_string());
    Ok(())
}

/// The time of an audit is up while the JVM, on its way out, waits for finalizers: the report is
/// the JVM's last one then.
pub fn time_is_up_at_the_end(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, kit.env.fixture("BlockedFinalizer")?)?;
    let ended = jvm.audited(&kit.library, "gc,gc_timeout=9s,duration=3s").run()?;
    let report = ended.unhealthy_report()?;
    ensure!(report.process.trigger == Trigger::Exit, ended.to_string());
    ensure!(ended.code() == 0, ended.to_string());
    Ok(())
}

/// A pipe without a writer is no reason to wait; a pipe with a writer is read.
pub fn pipes_instead_of_files(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    let (pid, pipe) = (running.pid(), running.dir().join("pipe"));
    let made = Command::new("mkfifo").arg(&pipe).status().map_err(|error| error.to_string())?;
    ensure!(made.success(), "there is no pipe");
    let pipe = pipe.display();
    kit.ask("attach", pid, &[&format!("@{pipe}")])?.refused(2, "the pipe has no writer")?;
    let armed = kit.ask("attach", pid, &[&format!("suppressions={pipe}")])?.done()?;
    ensure!(armed.contains("the pipe has no writer") && armed.contains("armed"), armed.clone());
    kit.ask("disarm", pid, &[])?.done()?;
    let endless = kit.ask("attach", pid, &["@/dev/zero"])?;
    endless.refused(2, "larger than 64 KiB")?;
    ensure_unharmed(running, pid)
}

/// The command that arms wants its answer in a file; the next command wants its own answer, and on
/// standard error.
pub fn each_answer_has_its_own_place(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut running = ready(kit.garbage(jdk)?)?;
    let answer = running.dir().join("answer");
    let load = |options: String| {
        let library = kit.library.display().to_string();
        let words = [
            running.pid().to_string(),
            "JVMTI.agent_load".into(),
            library,
            format!("\"{options}\""),
        ];
        let output = Command::new(jdk.tool("jcmd")).args(words).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("jcmd: {error}"))?;
        ensure!(output.status.success(), "{output:?}");
        Ok(())
    };
    load(format!("arm,reply_file={}", answer.display()))?;
    fs::remove_file(&answer).map_err(|error| format!("no answer: {error}"))?;
    load("status".into())?;
    running.wait_for_stderr("state: armed")?;
    ensure!(!answer.exists(), "the answer came where the one before had to");
    Ok(())
}
