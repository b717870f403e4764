//! One life: loaded without a hook, armed by command or by the clock, disarmed by either; and what
//! is refused meanwhile.
//!
//! Invariant: what was refused has changed nothing.

use super::{Kit, Program, Test};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zaudit_tests::Result;
use zaudit_tests::command::Said;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Counts, Kind, Report, Trigger};

/// `jcmd PID JVMTI.agent_load` came with JDK 9.
pub const TESTS: &[(&str, u32, Test)] = &[
    ("armed_by_command", 8, armed_by_command),
    ("loaded_at_the_start", 8, loaded_at_the_start),
    ("delay", 8, delay),
    ("delay_and_disarm", 8, delay_and_disarm),
    ("duration", 8, duration),
    ("armed_twice", 8, armed_twice),
    ("garbage_options", 8, garbage_options),
    ("by_jcmd", 9, by_jcmd),
    ("second_copy_at_the_start", 8, second_copy_at_the_start),
    ("second_copy_later", 9, second_copy_later),
    ("full_heap", 8, full_heap),
];

/// `-agentpath` with a JSON report in `r.json`.
fn loaded(kit: &Kit, jdk: &Jdk, options: &str) -> Result<Jvm> {
    Ok(kit.scripted(jdk)?.audited(&kit.env.library, options))
}

/// Ensures what the report says of `count` windows of 40, of which 25 were ended.
fn ensure_windows(report: &Report, count: u64) -> Result<()> {
    for kind in [Kind::Inflater, Kind::Deflater] {
        let window =
            report.sum(kind, |site| site.frames.iter().any(|f| f.to_string() == "Scripted.window"));
        let right = Counts {
            created: 40 * count,
            ended: 25 * count,
            live: 15 * count,
            ..Counts::default()
        };
        ensure!(window == right, "{kind}s of the window: {right:?} made, {window:?} counted");
    }
    Ok(())
}

/// Ensures that nothing is audited, as far as can be seen from outside and from within. Something
/// must churn.
fn ensure_disarmed(program: &mut Program) -> Result<()> {
    program.wait_for_threads(&[])?;
    program.ensure_state("disarmed")?;
    program.ensure_hooked(false)
}

/// What was said at the start holds when it is armed later.
fn armed_by_command(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(loaded(kit, jdk, "arm=false,gc,depth=3")?)?;
    program.obey("churn 2")?;
    ensure_disarmed(&mut program)?;
    program.obey("open 8")?;
    program.refused("dump", &[], 1, "arm one first")?;
    program.zaudit("attach", &[])?;
    program.ensure_state("armed")?;
    program.wait_for_threads(&["zaudit"])?;
    program.ensure_hooked(true)?;
    program.obey("window 40 25")?;
    let report = program.report("dump", &[])?;
    ensure_windows(&report, 1)?;
    ensure!(report.totals.adopted.deflater.counts.found >= 8, "{:?}", report.totals.adopted);
    let own: Vec<_> = report.sites.iter().filter(|site| site.is_of("Scripted")).collect();
    let cut = own.iter().all(|site| site.frames.len() <= 3);
    ensure!(cut && own.iter().any(|site| site.truncated), "depth=3 does not hold: {own:#?}");
    // Only the agent's forced GC collects what is forgotten here.
    program.obey("calm")?;
    program.obey("open 40")?;
    program.obey("forget 48")?;
    let report = program.end()?.report()?;
    ensure!(report.process.trigger == Trigger::Exit && !report.process.from_start, "{report:#?}");
    ensure_windows(&report, 1)?;
    for kind in [Kind::Inflater, Kind::Deflater] {
        let opened =
            report.sum(kind, |site| site.frames.iter().any(|f| f.to_string() == "Scripted.open"));
        let made_abroad = report
            .sum(kind, |site| site.frames.iter().any(|f| f.to_string() == "Scripted$Maker.call"));
        let lost = opened.late + opened.collected + made_abroad.late + made_abroad.collected;
        ensure!(lost == 40, "gc does not hold: {opened:?} {made_abroad:?}");
    }
    Ok(())
}

/// A JVM that had the agent from its start takes commands like any other.
fn loaded_at_the_start(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(loaded(kit, jdk, "")?)?;
    program.obey("window 40 25")?;
    let report = program.report("dump", &[])?;
    ensure_windows(&report, 1)?;
    ensure!(report.process.trigger == Trigger::Command && report.process.from_start, "{report:?}");
    program.refused("attach", &[], 1, "under way")?;
    program.zaudit("reset", &[])?;
    program.obey("window 40 25")?;
    let report = program.report("disarm", &[])?;
    ensure_windows(&report, 1)?;
    ensure!(report.totals.adopted.deflater.counts.live == 15, "{:?}", report.totals.adopted);
    ensure!(!report.process.from_start, "the counts have begun anew");
    program.obey("churn 2")?;
    ensure_disarmed(&mut program)?;
    ensure!(!program.running.dir().join("r.json").exists(), "that file was not requested");
    program.refused("disarm", &[], 1, "no audit is under way")?;
    program.zaudit("attach", &[])?;
    program.obey("window 40 25")?;
    program.obey("calm")?;
    let report = program.end()?.report()?;
    ensure!(report.process.trigger == Trigger::Exit, "{report:?}");
    ensure!(report.totals.adopted.deflater.counts.live == 30, "{:?}", report.totals.adopted);
    ensure_windows(&report, 1)
}

/// It waits without a hook, and arms by itself.
fn delay(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(loaded(kit, jdk, "delay=3s")?)?;
    program.wait_for_threads(&["zaudit-delay"])?;
    program.ensure_state("waiting (arms in ")?;
    program.obey("open 8")?;
    program.wait_for_threads(&["zaudit"])?;
    program.ensure_state("armed")?;
    program.obey("window 40 25")?;
    let report = program.end()?.report()?;
    ensure_windows(&report, 1)?;
    let adopted = report.totals.adopted.deflater.counts;
    ensure!(adopted.found == 8 && !report.process.from_start, "{adopted:?}");
    Ok(())
}

fn delay_and_disarm(kit: &Kit, jdk: &Jdk) -> Result<()> {
    for by_command in [false, true] {
        let mut program = if by_command {
            let program = kit.start(kit.scripted(jdk)?)?;
            program.zaudit("attach", &["delay=1h"])?;
            program
        } else {
            kit.start(loaded(kit, jdk, "delay=1h")?)?
        };
        program.wait_for_threads(&["zaudit-delay"])?;
        program.ensure_state("waiting (arms in 35")?;
        let said = kit.zaudit.ask("disarm", program.running.pid(), &[])?;
        ensure!(
            said.code == Some(0)
                && (said.stdout + &said.stderr).contains("the pending audit was cancelled"),
            "the reply does not say that the pending audit was cancelled"
        );
        program.obey("churn 2")?;
        ensure_disarmed(&mut program)?;
        let ended = program.end()?;
        ensure!(!ended.dir().join("r.json").exists(), "there was no audit, and there is a report");
    }
    Ok(())
}

/// It ends by itself, with its last report, and leaves the original bytecode.
fn duration(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?)?;
    program.obey("churn 2")?;
    program.zaudit("attach", &["duration=2s", "file=r.json", "format=json"])?;
    program.obey("window 40 25")?;
    let report = program.running.wait_for_report("r.json")?;
    ensure_windows(&report, 1)?;
    let right = report.process.trigger == Trigger::Duration && report.process.number.is_none();
    ensure!(right && report.process.armed_seconds >= 2.0, "{:?}", report.process);
    ensure_disarmed(&mut program)?;
    program.end().map(drop)
}

fn armed_twice(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?)?;
    program.zaudit("attach", &["depth=64"])?;
    program.obey("window 40 25")?;
    program.refused("attach", &["depth=2"], 1, "an audit is under way")?;
    program.refused("attach", &["delay=1s"], 1, "an audit is under way")?;
    program.wait_for_threads(&["zaudit"])?;
    let report = program.report("disarm", &[])?;
    ensure!(report.sites.iter().all(|site| !site.truncated), "depth=64 is not what holds");
    ensure_windows(&report, 1)?;
    program.end().map(drop)
}

fn garbage_options(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?)?;
    program.obey("churn 2")?;
    program.refused("attach", &["depth=frog"], 2, "depth")?;
    program.wait_for_threads(&[])?;
    program.ensure_hooked(false)?;
    // The library is there from here on.
    program.zaudit("attach", &[])?;
    program.zaudit("disarm", &[])?;
    for (option, why) in [
        ("depth=frog", "depth"),
        ("detph=3", "did you mean \"depth\""),
        ("=", "name"),
        ("\u{e9}", "unknown"),
    ] {
        program.refused("attach", &["gc", option], 2, why)?;
        ensure_disarmed(&mut program)?;
    }
    program.zaudit("attach", &[])?;
    program.obey("window 40 25")?;
    program.refused("attach", &["depth=frog"], 2, "depth")?;
    program.ensure_state("armed")?;
    ensure_windows(&program.report("disarm", &[])?, 1)?;
    program.end().map(drop)
}

/// Loads the library with `jcmd`, and gives what that says.
fn load(jdk: &Jdk, program: &Program, library: &Path, options: &str) -> Result<String> {
    let pid = program.running.pid().to_string();
    let library = library.to_str().ok_or("the library's path is no UTF-8")?;
    let mut command = Command::new(jdk.tool("jcmd"));
    command
        .args([&pid, "JVMTI.agent_load", library, &format!("\"{options}\"")])
        .stdin(Stdio::null());
    Said::of(&mut command)?.done()
}

/// Without our own command: each answer is a file, each return code is the JVM's to tell.
fn by_jcmd(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?)?;
    program.obey("open 8")?;
    let answer = program.running.dir().join("answer");
    let report = program.running.dir().join("r.json");
    let report_option = format!("file={},format=json", report.display());
    for (command, options, code, words) in [
        ("arm", "gc", 0, "already open: 8 Inflaters and 8 Deflaters"),
        ("arm", "gc", 1, "an audit is under way"),
        ("dump", "detph=3", 2, "did you mean \"depth\""),
        ("dump", &report_option, 0, "the report is in "),
        ("disarm", "format=xml", 2, "format"),
        ("reset", "", 0, "counts reset"),
        ("status", "", 0, "state: armed"),
        ("disarm", &report_option, 0, "disarmed; the report is in "),
        ("disarm", "", 1, "no audit is under way"),
        ("reset", "", 1, "arm one first"),
        ("help", "", 0, "gc_timeout"),
        ("rest", "", 2, "unknown"),
    ] {
        let comma = if options.is_empty() { "" } else { "," };
        let options = format!("{command}{comma}{options},reply_file={}", answer.display());
        let said = load(jdk, &program, &kit.env.library, &options)?;
        ensure!(said.contains(&format!("return code: {code}")), {
            format!("{options}: {code} expected: {said}")
        });
        let reply =
            std::fs::read_to_string(&answer).map_err(|error| format!("{options}: {error}"))?;
        ensure!(reply.contains(words), "{options}: {words:?} expected: {reply}");
        std::fs::remove_file(&answer).map_err(|error| error.to_string())?;
        if report.exists() {
            let text = std::fs::read_to_string(&report).map_err(|error| error.to_string())?;
            let adopted = Report::parse(&text)?.totals.adopted;
            ensure!(adopted.both.live == 16, "{adopted:?}");
            std::fs::remove_file(&report).map_err(|error| error.to_string())?;
        }
    }
    program.end().map(drop)
}

/// The same library under another name.
fn copy(kit: &Kit, folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("libcopy_of_zaudit.so");
    std::fs::copy(&kit.env.library, &copy).map_err(|error| error.to_string())?;
    Ok(copy)
}

/// Of two that come with the JVM, one works and the other says in one line that it does not.
fn second_copy_at_the_start(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let jvm = kit.scripted(jdk)?.audited(&kit.env.library, "");
    let copy = copy(kit, jvm.dir())?;
    let mut flag = OsString::from("-agentpath:");
    flag.push(copy);
    let mut program = kit.start(jvm.flags([flag]))?;
    program.obey("window 40 25")?;
    program.ensure_state("armed")?;
    ensure_windows(&program.report("dump", &[])?, 1)?;
    program.running.close();
    let ended = program.running.finish()?;
    let messages = ended.messages();
    let right = messages.len() == 1
        && messages.iter().all(|line| line.contains("another copy of libzaudit.so"));
    ensure!(right && ended.code() == 0 && ended.foreign_stderr().is_empty(), ended.to_string());
    ensure_windows(&ended.report()?, 1)
}

/// A copy that is loaded beside the first refuses, and the first remains the one that answers.
fn second_copy_later(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?)?;
    program.zaudit("attach", &[])?;
    program.obey("window 40 25")?;
    let copy = copy(kit, program.running.dir())?;
    let answer = program.running.dir().join("answer");
    for _ in 0..2 {
        let said = load(jdk, &program, &copy, &format!("arm,reply_file={}", answer.display()))?;
        ensure!(said.contains("return code: 1"), said.clone());
        let reply = std::fs::read_to_string(&answer).map_err(|error| error.to_string())?;
        ensure!(reply.contains("another copy of libzaudit.so"), reply.clone());
    }
    program.ensure_state("armed")?;
    ensure_windows(&program.report("disarm", &[])?, 1)?;
    program.obey("churn 2")?;
    ensure_disarmed(&mut program)?;
    program.end().map(drop)
}

/// A full Java heap lets no audit begin. It is refused, and the next audit is exact: if the agent
/// changed classes all the same, JDK 8 would free class files that are still used, and crash.
fn full_heap(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?.flags(["-Xmx32m", "-XX:+UseSerialGC"]))?;
    // From now on the classes have class files that the JVM has kept.
    program.zaudit("attach", &[])?;
    program.zaudit("disarm", &[])?;
    program.running.say("full")?;
    program.said.push(program.running.wait_for_line("full")?);
    program.refused("attach", &[], 1, "out of memory")?;
    program.running.say("calm")?;
    for line in ["done full", "done calm"] {
        program.said.push(program.running.wait_for_line(line)?);
    }
    program.ensure_state("disarmed")?;
    program.zaudit("attach", &[])?;
    program.obey("window 40 25")?;
    ensure_windows(&program.report("disarm", &[])?, 1)?;
    program.end().map(drop)
}
