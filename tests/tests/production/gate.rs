//! The gate: `exit_code` and `fail_on` against every way to end, with leaks, without, and with
//! leaks that rules cover.
//!
//! Invariant: each ending is tried bare, too; only where that gives 0 may the gate say otherwise,
//! and then with one line.

use super::{ensure_messages, read, write};
use std::path::Path;
use std::process::{Command, Stdio};
use zaudit_tests::child::{Ended, Running};
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Kind, Trigger};
use zaudit_tests::suite::TestEnv;
use zaudit_tests::{Result, agent};

const CODE: i32 = 23;
const LEAK: &str = "zaudit: exit code 23 instead of 0: 3 Inflaters were never ended; only the garbage collector freed them";

fn finishing(env: &TestEnv, jdk: &Jdk, args: &[&str]) -> Result<Jvm> {
    Ok(Jvm::new(jdk, env.fixture("Finishing")?)?.args(args))
}

fn gated(env: &TestEnv, jdk: &Jdk, args: &[&str], more: &str) -> Result<Jvm> {
    Ok(finishing(env, jdk, args)?.audited(&env.library, &format!("gc,exit_code={CODE}{more}")))
}

/// The counts of what the program did beside one that it ended.
fn ensure_lost(ended: &Ended, lost: u64, live: u64, expected: u64) -> Result<()> {
    let counts = ended.report()?.sum(Kind::Inflater, |site| site.is_of("Finishing"));
    let right =
        (counts.late + counts.collected, counts.live, counts.expected) == (lost, live, expected);
    ensure!(right, "{lost} lost, {live} live, {expected} expected: {counts:?}\n{ended}");
    Ok(())
}

/// One way to end, with and without a leak, with and without a code of its own.
pub(super) fn table(env: &TestEnv, jdk: &Jdk, way: &str) -> Result<()> {
    for (what, covered, own, due) in [
        ("leak", false, 0, CODE),
        ("leak", false, 7, 7),
        ("leak", true, 0, 0),
        ("leak", true, 7, 7),
        ("clean", false, 0, 0),
        ("clean", false, 7, 7),
    ] {
        let code = own.to_string();
        let args = [way, what, &code];
        let bare = finishing(env, jdk, &args)?.run()?;
        ensure!(bare.code() == own, "{own} expected of the bare JVM: {bare}");
        let jvm = gated(env, jdk, &args, if covered { ",suppressions=known.rules" } else { "" })?;
        if covered {
            write(&jvm.dir().join("known.rules"), "# Known and accepted.\nleak:Finishing.leak\n")?;
        }
        let ended = jvm.run()?;
        let row = || format!("{what}, covered: {covered}, own code {own}, {due} is due\n{ended}");
        ensure!(ended.code() == due, row());
        ensure!(ended.printed() == bare.printed(), row());
        let lines: &[&str] = if due == CODE { &[LEAK] } else { &[] };
        ensure_messages(&ended, lines)?;
        ensure!(ended.foreign_stderr() == bare.foreign_stderr(), row());
        let lost = if what == "leak" { 3 } else { 0 };
        ensure_lost(&ended, lost, 0, if covered { lost } else { 0 })?;
    }
    Ok(())
}

/// What the JVM or a signal says stands.
pub(super) fn other_endings(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (way, signal, due) in
        [("uncaught", None, 1), ("wait", Some("TERM"), 143), ("wait", None, CODE)]
    {
        let mut running = gated(env, jdk, &[way, "leak"], "")?.spawn()?;
        running.wait_for("ready")?;
        match signal {
            Some(signal) => running.signal(signal)?,
            None => running.close(),
        }
        let ended = running.finish()?;
        ensure!(ended.code() == due, "{way} {signal:?}: {due} is due: {ended}");
        ensure_messages(&ended, if due == CODE { &[LEAK] } else { &[] })?;
        ensure_lost(&ended, 3, 0, 0)?;
    }
    Ok(())
}

/// Live ones fail it from the limit on, and not below; what rules cover does not count.
pub(super) fn limits(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    const KEEP: [&str; 2] = ["return", "keep"];
    let ended = gated(env, jdk, &KEEP, "")?.run()?;
    ensure!(ended.code() == 0, "live ones alone are no failure: {ended}");
    ensure_lost(&ended, 0, 3, 0)?;
    let held: u64 =
        ended.report()?.sites.iter().filter(|s| s.is_of("Finishing")).map(|s| s.bytes_held).sum();
    ensure!(held > 0, "nothing is held: {ended}");
    let digits = held.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    let many = "3 Inflaters are suspects (fail_on=live:3)";
    let much = format!("suspects hold {} bytes (fail_on=bytes:{held})", groups.join(","));
    for (fail_on, why) in [
        ("live:3".to_owned(), many.to_owned()),
        ("live:4".into(), String::new()),
        (format!("bytes:{held}"), much.clone()),
        (format!("bytes:{}", held + 1), String::new()),
        (format!("live:3,bytes:{held}"), format!("{many}; {much}")),
        (format!("live:4,fail_on=bytes:{}", held + 1), String::new()),
        ("leak".into(), String::new()),
    ] {
        let ended = gated(env, jdk, &KEEP, &format!(",fail_on={fail_on}"))?.run()?;
        let due = if why.is_empty() { 0 } else { CODE };
        ensure!(ended.code() == due, "fail_on={fail_on}: {due} is due: {ended}");
        let line = format!("zaudit: exit code 23 instead of 0: {why}");
        let lines: &[&str] = if why.is_empty() { &[] } else { &[&line] };
        ensure_messages(&ended, lines)?;
    }
    let jvm = gated(env, jdk, &KEEP, ",fail_on=live:1,suppressions=pool.rules")?;
    write(&jvm.dir().join("pool.rules"), "live:Finishing.keep\n")?;
    let ended = jvm.run()?;
    ensure!(ended.code() == 0, "a rule covers them: {ended}");
    ensure_messages(&ended, &[])?;
    ensure_lost(&ended, 0, 3, 3)
}

/// All that the program printed is there, and before the agent's line where both go to one place.
pub(super) fn much_output_first(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("MuchOutput")?)?;
    let ended = jvm.audited(&env.library, "gc,exit_code=23").after("exec >both.txt 2>&1").run()?;
    ensure!(ended.code() == CODE, ended.to_string());
    let both = read(&ended.dir().join("both.txt"))?;
    let lines: Vec<&str> = both.lines().collect();
    let (last, printed) = lines.split_last().ok_or("nothing was printed")?;
    ensure!(last.starts_with("zaudit: exit code 23 instead of 0: 1 Inflater was never"), {
        format!("the agent's line is to be the last: {last:?}")
    });
    ensure_lines(printed, "line")
}

/// 100,000 numbered lines, each of them whole.
fn ensure_lines(lines: &[&str], word: &str) -> Result<()> {
    ensure!(lines.len() == 100_000, "{} lines", lines.len());
    let wrong =
        lines.iter().enumerate().find(|(number, line)| **line != format!("{word} {number}"));
    ensure!(wrong.is_none(), "{wrong:?}");
    Ok(())
}

/// What native code has left in C's own buffer comes out when the process exits, whatever its code.
pub(super) fn native_output(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm =
        || -> Result<Jvm> { Ok(Jvm::new(jdk, env.fixture("NativeCode")?)?.args(&["100000"])) };
    let bare = jvm()?.run()?;
    ensure!(bare.code() == 0, bare.to_string());
    let ended = jvm()?.audited(&env.library, "gc,exit_code=23").run()?;
    ensure!(ended.code() == CODE, ended.to_string());
    ensure!(ended.stdout == bare.stdout, "{} and {} bytes", bare.stdout.len(), ended.stdout.len());
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    let native: Vec<&str> = text.lines().filter(|line| line.starts_with("native")).collect();
    ensure_lines(&native, "native line")
}

fn waiting(env: &TestEnv, jdk: &Jdk, more: &str) -> Result<Running> {
    let mut running = gated(env, jdk, &["wait", "leak"], more)?.spawn()?;
    running.wait_for("ready")?;
    Ok(running)
}

/// Lets the program end, long after its audit has.
fn ensure_fails(mut running: Running) -> Result<Ended> {
    running.close();
    let ended = running.finish()?;
    ensure!(ended.code() == CODE && ended.printed() == "ready\ndone\n", ended.to_string());
    let lines: Vec<String> =
        ended.messages().into_iter().filter(|line| line.contains("exit code")).collect();
    ensure!(lines == [LEAK], ended.to_string());
    Ok(ended)
}

/// The audit is over before the program; what it found still counts.
pub(super) fn found_by_duration(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let mut running = waiting(env, jdk, ",duration=3s")?;
    let report = running.wait_for_report("r.json")?;
    ensure!(report.process.trigger == Trigger::Duration, "{:?}", report.process);
    let ended = ensure_fails(running)?;
    ensure_lost(&ended, 3, 0, 0)
}

/// Somebody ended the audit by hand; one that follows and finds nothing takes nothing back.
pub(super) fn found_by_disarm(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for again in [false, true] {
        let running = waiting(env, jdk, "")?;
        let said = command(&env.library, "disarm", running.pid(), &["--gc"])?;
        ensure!(said.contains("LEAK") && said.contains("Finishing.leak"), said.clone());
        if again {
            command(&env.library, "attach", running.pid(), &[])?;
        }
        let ended = ensure_fails(running)?;
        let report = ended.dir().join("r.json");
        ensure!(report.exists() == again, "a report of an audit that is over: {}", !again);
        if again {
            ensure_lost(&ended, 0, 0, 0)?;
        }
    }
    Ok(())
}

/// Has the command do something with a process, and gives what that printed.
fn command(library: &Path, name: &str, pid: u32, words: &[&str]) -> Result<String> {
    let output = Command::new(agent::command()?)
        .args([name, &pid.to_string()])
        .args(words)
        .arg("--library")
        .arg(library)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("zaudit: {error}"))?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
