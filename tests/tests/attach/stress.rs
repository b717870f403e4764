//! Commands and signals at a bad time, and too many of them.
//!
//! Invariant: the program goes on, and every report that there is is whole.

use super::{Kit, Program, Test};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::report::{Kind, Report, Trigger};
use zaudit_tests::suite;

/// None needs a later release than JDK 8.
pub const TESTS: &[(&str, u32, Test)] = &[
    ("dumps_while_the_collector_works", 8, dumps_while_the_collector_works),
    ("cycles_while_the_collector_frees", 8, cycles_while_the_collector_frees),
    ("commands_in_a_storm_of_signals", 8, commands_in_a_storm_of_signals),
    ("hundred_thousand_signals", 8, hundred_thousand_signals),
];

const REPORT: [&str; 2] = ["file=r.json", "format=json"];

fn ensure_window(report: &Report, created: u64, ended: u64) -> Result<()> {
    for kind in [Kind::Inflater, Kind::Deflater] {
        let window =
            report.sum(kind, |site| site.frames.iter().any(|f| f.to_string() == "Scripted.window"));
        let right =
            (window.created, window.ended, window.live) == (created, ended, created - ended);
        ensure!(right, "{created} {kind}s made, {ended} ended: {window:?}");
    }
    Ok(())
}

fn dumps_while_the_collector_works(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let small = ["-Xmx192m"];
    let mut program = kit.start(kit.scripted(jdk)?.flags(small))?;
    for line in ["churn 1", "leak 1", "press 2"] {
        program.obey(line)?;
    }
    let before = program.answer("collections")?;
    program.zaudit("attach", &REPORT)?;
    let rounds = suite::rounds(5)?.into();
    for round in 1..=rounds {
        program.obey("window 8 5")?;
        // Now and then with a collection of its own. It may not come to an end of what finalizers
        // do: others give them more all the time, and then the report says so, as it should.
        let words: &[&str] = if round % 5 == 0 { &["--gc"] } else { &[] };
        let text = kit
            .zaudit
            .ask("dump", program.running.pid(), &[&["--format", "json"], words].concat())?
            .done()?;
        let report = if words.is_empty() { Report::parse(&text)? } else { Report::read(&text)? };
        ensure_window(&report, 8 * round, 5 * round)?;
    }
    let after = program.answer("collections")?;
    ensure!(after != before, "the collector has not been at work");
    program.obey("calm")?;
    ensure_window(&program.report("disarm", &[])?, 8 * rounds, 5 * rounds)?;
    program.end().map(drop)
}

/// An audit that ends while the JVM still reports frees to it: since JDK 16 a thread of the JVM's
/// own does that, and a thread that waits for it inside the JVM may block the whole JVM.
fn cycles_while_the_collector_frees(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?.flags(["-Xmx192m"]))?;
    for line in ["leak 3", "press 2"] {
        program.obey(line)?;
    }
    let before = program.answer("collections")?;
    for round in 1..=suite::rounds(8)? {
        let here = |why| format!("round {round}: {why}");
        program.zaudit("attach", &[]).map_err(here)?;
        program.obey("window 8 5")?;
        ensure_window(&program.report("disarm", &[]).map_err(here)?, 8, 5).map_err(here)?;
        program.obey("release")?;
    }
    let after = program.answer("collections")?;
    ensure!(after != before, "the collector has not been at work");
    program.obey("calm")?;
    program.end().map(drop)
}

/// One that sends signals as fast as it may, until it goes.
struct Storm<'a> {
    over: &'a AtomicBool,
}

impl Drop for Storm<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Sends a signal to a process that is a child of ours and not waited for.
fn send(pid: u32, signal: i32) -> Result<()> {
    let pid = i32::try_from(pid).map_err(|error| error.to_string())?;
    // SAFETY: kill takes numbers. The child is not waited for yet: the number is no other's.
    let sent = unsafe { libc::kill(pid, signal) } == 0;
    ensure!(sent, "no signal: {}", std::io::Error::last_os_error());
    Ok(())
}

/// SIGQUIT has the JVM print all its threads in between what the program prints: only its end is
/// looked at.
fn commands_in_a_storm_of_signals(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?)?;
    program.obey("churn 2")?;
    program.obey("window 40 25")?;
    // The signal is the agent's from here on, and stays so.
    program.zaudit("attach", &REPORT)?;
    program.obey("window 40 25")?;
    let pid = program.running.pid();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let storm = Storm { over: &over };
        scope.spawn(|| {
            for number in 0.. {
                let signal = if number % 20 == 0 { libc::SIGQUIT } else { libc::SIGUSR1 };
                if over.load(Ordering::Relaxed) || send(pid, signal).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for round in 0..10 {
            let report = program.report("dump", &[])?;
            ensure_window(
                &report,
                if round == 0 { 40 } else { 0 },
                if round == 0 { 25 } else { 0 },
            )?;
            program.report("disarm", &[])?;
            let said = program.zaudit("attach", &REPORT)?;
            ensure!(said.contains("already open: "), said.clone());
        }
        drop(storm);
        Ok::<_, String>(())
    })?;
    let numbered = std::fs::read_dir(program.running.dir()).map_err(|error| error.to_string())?;
    let numbered = numbered.flatten().filter(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.starts_with("r.") && name != "r.json"
    });
    let mut reports = 0;
    for file in numbered {
        let text = std::fs::read_to_string(file.path()).map_err(|error| error.to_string())?;
        let trigger = Report::parse(&text)?.process.trigger;
        ensure!(matches!(trigger, Trigger::Signal | Trigger::DataDump), "{trigger:?}");
        reports += 1;
    }
    ensure!(reports > 0, "no signal has made a report");
    program.running.close();
    let ended = program.running.finish()?;
    let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
    ensure!(ended.code() == 0 && stdout.trim_end().ends_with("ended"), ended.to_string());
    ensure!(ended.stderr().is_empty(), ended.to_string());
    let last = ended.report()?;
    let adopted = last.totals.adopted.deflater.counts;
    ensure!(last.process.trigger == Trigger::Exit && adopted.live == 30, "{adopted:?}");
    Ok(())
}

fn hundred_thousand_signals(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?)?;
    program.obey("churn 3")?;
    program.zaudit("attach", &REPORT)?;
    program.obey("window 40 25")?;
    let began = Instant::now();
    for _ in 0..100_000 {
        send(program.running.pid(), libc::SIGUSR1)?;
    }
    let took = began.elapsed();
    println!("100,000 signals in {took:?}");
    let first = program.running.wait_for_report("r.1.json")?;
    ensure!(first.process.trigger == Trigger::Signal, "{:?}", first.process);
    ensure_window(&first, 40, 25)?;
    program.obey("window 40 25")?;
    ensure_unharmed(program)
}

fn ensure_unharmed(mut program: Program) -> Result<()> {
    ensure_window(&program.report("dump", &[])?, 80, 50)?;
    program.obey("release")?;
    program.obey("calm")?;
    let ended = program.end()?;
    let last = ended.report()?;
    ensure!(last.process.trigger == Trigger::Exit, "{:?}", last.process);
    ensure_window(&last, 80, 80)
}
