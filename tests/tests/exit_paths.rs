//! However the program ends, there is a report, and its exit code is what it would have been.
//!
//! Invariant: each way of ending is tried bare, too; what the bare JVM does is the measure, not
//! what this page thinks.

use libtest_mimic::Trial;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Trigger;
use zaudit_tests::suite::{self, Need, TestEnv, case, ensure_counts, per_jdk, per_jdk_needing};

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

/// Collectors with threads of their own, which the JVM stops on its way out: a GC that is requested
/// after that never runs.
const CONCURRENT: [(&str, &[&str]); 2] =
    [("zgc", &["-XX:+UseZGC"]), ("shenandoah", &["-XX:+UseShenandoahGC"])];

/// Programs in which what frees hangs, and the releases since which they run.
const BLOCKED: [(&str, u32); 2] = [("BlockedFinalizer", 8), ("BlockedCleaner", 9)];

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

const TESTS: [(&str, Test); 3] = [
    ("exit_is_not_delayed", exit_is_not_delayed),
    ("ten_times::ExitWhileCreating", |env, jdk| ten_times(env, jdk, "ExitWhileCreating")),
    ("ten_times::DaemonsAtExit", |env, jdk| ten_times(env, jdk, "DaemonsAtExit")),
];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials = env.missing();
        for ending in ENDINGS {
            for (collector, flags) in CONCURRENT {
                trials.push(trial(env, collector, flags, env.default_jdk(), ending));
            }
        }
        for jdk in &env.jdks {
            for ending in ENDINGS {
                trials.push(trial(env, &format!("jdk{}", jdk.major), &[], jdk, ending));
            }
        }
        let blocked = BLOCKED.map(|(name, since)| {
            let test = move |env: &TestEnv, jdk: &Jdk| blocked(env, jdk, name);
            (name, [Need::since(since)], test)
        });
        trials.extend(per_jdk_needing(env, blocked));
        trials.extend(suite::table(env, per_jdk(env, TESTS))?);
        Ok(trials)
    })
}

fn trial(
    env: &TestEnv,
    mode: &str,
    flags: &'static [&'static str],
    jdk: &Jdk,
    (way, signal, code): (&'static str, Option<&'static str>, i32),
) -> Trial {
    let name = match signal {
        None => format!("{mode}::{way}"),
        Some(signal) => format!("{mode}::sig{}", signal.to_lowercase()),
    };
    let jdk = jdk.clone();
    case(env, name, move |env| {
        let fixture = env.fixture("Ending")?;
        let jvm = || -> Result<Jvm> {
            Ok(Jvm::new(&jdk, fixture)?.flags(["-Xcheck:jni"]).flags(flags).args(&[way]))
        };
        let bare = end(jvm()?, signal)?;
        ensure!(bare.code() == code, "{code} expected of the bare JVM: {bare}");
        let audited = end(jvm()?.audited(&env.library, "gc"), signal)?;
        ensure!(audited.code() == code, "{code} expected: {audited}");
        ensure!(audited.printed() == bare.printed(), "stdout differs\n{bare}\n{audited}");
        ensure!(audited.foreign_stderr() == bare.foreign_stderr(), {
            format!("stderr differs\n{bare}\n{audited}")
        });
        let report = audited.report()?;
        ensure!(report.process.trigger == Trigger::Exit, {
            format!("trigger is {:?}", report.process.trigger)
        });
        ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)
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

/// The JVM goes down under threads that are in the middle of a hook: races are looked for more than
/// once.
fn ten_times(env: &TestEnv, jdk: &Jdk, name: &str) -> Result<()> {
    let fixture = env.fixture(name)?;
    for _ in 0..10 {
        let ended = Jvm::new(jdk, fixture)?.audited(&env.library, "").run()?;
        ensure!(ended.code() == fixture.exit, "{} expected: {ended}", fixture.exit);
        ensure!(ended.stderr().is_empty(), "nothing expected on stderr: {ended}");
        ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)?;
    }
    Ok(())
}

/// What a collection leaves to a thread that hangs is never done: the wait for it ends, and the
/// report owns up to it.
fn blocked(env: &TestEnv, jdk: &Jdk, name: &str) -> Result<()> {
    let fixture = env.fixture(name)?;
    let bare = Jvm::new(jdk, fixture)?.run()?;
    let ended = Jvm::new(jdk, fixture)?.audited(&env.library, "gc,gc_timeout=300ms").run()?;
    ensure!(ended.printed() == bare.printed() && ended.code() == 0, "{bare}\n{ended}");
    let report = ended.unhealthy_report()?;
    let unsettled =
        report.health.details.get("unsettled").map(ToString::to_string).unwrap_or_default();
    ensure!(unsettled.contains("gc_timeout"), "not a word about the wait: {unsettled}\n{ended}");
    let wrong = report.check().err().unwrap_or_default();
    ensure!(wrong.len() == 1 && !report.health.ok, "only health is to be wrong: {wrong:#?}");
    Ok(())
}

/// A JVM on its way out waits up to 300 ms for each Java thread that is in native code, and such is
/// the agent's own. Nothing but the clock shows it. So the best of a few runs is compared with the
/// best of as many bare ones beside them: a busy machine makes some runs slow, not all of them, and
/// the agent itself takes some milliseconds.
fn exit_is_not_delayed(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = || -> Result<Jvm> { Ok(Jvm::new(jdk, env.fixture("Ending")?)?.args(&["exit"])) };
    let timed = |jvm: Jvm| -> Result<Duration> {
        let begun = Instant::now();
        let ended = jvm.run()?;
        ensure!(ended.code() == 7, ended.to_string());
        Ok(begun.elapsed())
    };
    let (mut bare, mut audited) = (Duration::MAX, Duration::MAX);
    for round in 1..=20 {
        bare = bare.min(timed(jvm()?)?);
        audited = audited.min(timed(jvm()?.audited(&env.library, ""))?);
        if round >= 5 && audited < bare + Duration::from_millis(200) {
            return Ok(());
        }
    }
    Err(format!("bare {bare:?}, audited {audited:?}"))
}
