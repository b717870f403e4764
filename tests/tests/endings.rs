//! However the program ends, there is a report, and its exit code is what it would have been.
//!
//! Invariant: each way of ending is tried bare, too; what the bare JVM does is the measure, not what this page thinks.

use libtest_mimic::Trial;
use std::process::ExitCode;
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Trigger;
use zaudit_tests::suite::{self, Bench, cell, claim, claim_counts};

/// A way to end, the signal that brings it about, and the exit code.
const ENDINGS: [(&str, Option<&str>, i32); 7] = [
    ("normal", None, 0),
    ("exit", None, 7),
    ("halt", None, 7),
    ("uncaught", None, 1),
    ("wait", Some("TERM"), 143),
    ("wait", Some("INT"), 130),
    ("wait", Some("HUP"), 129),
];

fn main() -> ExitCode {
    suite::main(|bench| {
        let mut trials = bench.missing();
        for jdk in &bench.jdks {
            for ending in ENDINGS {
                trials.push(trial(bench, jdk, ending));
            }
            for fixture in ["ExitWhileCreating", "DaemonsAtExit"] {
                let (jdk, name) = (jdk.clone(), format!("jdk{}::ten_times::{fixture}", jdk.major));
                trials.push(cell(bench, name, move |bench| ten_times(bench, &jdk, fixture)));
            }
        }
        trials
    })
}

fn trial(bench: &Bench, jdk: &Jdk, (way, signal, code): (&'static str, Option<&'static str>, i32)) -> Trial {
    let name = match signal {
        None => format!("jdk{}::{way}", jdk.major),
        Some(signal) => format!("jdk{}::sig{}", jdk.major, signal.to_lowercase()),
    };
    let jdk = jdk.clone();
    cell(bench, name, move |bench| {
        let fixture = bench.fixture("Ending")?;
        let jvm = || -> Result<Jvm> { Ok(Jvm::new(&jdk, fixture)?.flags(["-Xcheck:jni"]).args(&[way])) };
        let bare = end(jvm()?, signal)?;
        claim(bare.code() == code, || format!("{code} expected of the bare JVM: {bare}"))?;
        let audited = end(jvm()?.audited(&bench.library, "gc"), signal)?;
        claim(audited.code() == code, || format!("{code} expected: {audited}"))?;
        claim(audited.printed() == bare.printed(), || format!("stdout differs\n{bare}\n{audited}"))?;
        claim(audited.foreign_stderr() == bare.foreign_stderr(), || {
            format!("stderr differs\n{bare}\n{audited}")
        })?;
        let report = audited.report()?;
        claim(report.process.trigger == Trigger::Exit, || {
            format!("trigger is {:?}", report.process.trigger)
        })?;
        claim_counts(fixture, &fixture.expected(jdk.major, false), &report)
    })
}

fn end(jvm: Jvm, signal: Option<&str>) -> Result<Ended> {
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    if let Some(signal) = signal {
        running.signal(signal)?;
    }
    running.finish()
}

/// The JVM goes down under threads that are in the middle of a hook: races are looked for more than once.
fn ten_times(bench: &Bench, jdk: &Jdk, name: &str) -> Result<()> {
    let fixture = bench.fixture(name)?;
    for _ in 0..10 {
        let ended = Jvm::new(jdk, fixture)?.audited(&bench.library, "").run()?;
        claim(ended.code() == fixture.exit, || format!("{} expected: {ended}", fixture.exit))?;
        claim(ended.stderr().is_empty(), || format!("nothing expected on stderr: {ended}"))?;
        claim_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)?;
    }
    Ok(())
}
