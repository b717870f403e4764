//! The agent's own walk of stacks, compared with GetStackTrace on every event (`walk=check`).
//!
//! Invariant: not one stack differs, most are found by the walk, and a walk that is wrong on
//! purpose is switched off before it gives a wrong stack.

mod frozen;
mod sabotage;

use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;
use zaudit_tests::child::{Ended, Folder};
use zaudit_tests::fixtures::Fixture;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Report;
use zaudit_tests::suite::{self, Need, TestEnv, ensure_counts, per_jdk, per_jdk_needing, rounds};
use zaudit_tests::{Result, agent, ensure, other_agent};

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

/// On every JDK. All but the first one share out their work themselves.
const TESTS: [(&str, Test); 3] =
    [("random_stacks", random_stacks), ("fixtures", fixtures), ("sabotage", sabotage::caught)];

/// On every fourth JDK, or on every one with more rounds.
const SHARED_OUT: [(&str, Test); 4] = [
    ("cut_stacks", cut_stacks),
    ("too_deep_to_be_compared", too_deep_to_be_compared),
    ("reloaded_code", reloaded_code),
    ("option_off", option_off),
];

/// Ways in which code comes to be, or goes: the name, the releases, the flags, and how many
/// instances each thread makes.
const FLAGS: [(&str, RangeInclusive<u32>, &[&str], u32); 11] = [
    ("interpreted", 8..=u32::MAX, &["-Xint"], 1_000),
    ("compiled_at_once", 8..=u32::MAX, &COMPILED_AT_ONCE, 1_000),
    ("without_inlining", 8..=u32::MAX, &["-XX:-Inline"], 1_000),
    ("c1", 8..=u32::MAX, &["-XX:TieredStopAtLevel=1"], 1_000),
    ("c2", 8..=u32::MAX, &["-XX:-TieredCompilation"], 1_000),
    ("small_code_cache", 8..=u32::MAX, &["-XX:ReservedCodeCacheSize=6m"], 1_000),
    ("serial", 8..=u32::MAX, &["-XX:+UseSerialGC", "-Xmx64m"], 1_000),
    ("parallel", 8..=u32::MAX, &["-XX:+UseParallelGC", "-Xmx64m"], 1_000),
    ("cms", 8..=13, &["-XX:+UseConcMarkSweepGC", "-Xmx64m"], 1_000),
    ("zgc", 17..=u32::MAX, &["-XX:+UseZGC", "-Xmx64m"], 1_000),
    ("shenandoah", 17..=u32::MAX, &["-XX:+UseShenandoahGC", "-Xmx64m"], 1_000),
];

/// Only what may be on a stack of `RandomStacks` is compiled: all that a JVM starts with takes
/// three times as long.
const COMPILED_AT_ONCE: [&str; 13] = [
    "-Xcomp",
    "-XX:CompileCommand=quiet",
    "-XX:CompileCommand=compileonly,RandomStacks*::*",
    "-XX:CompileCommand=compileonly,java.lang.Class::*",
    "-XX:CompileCommand=compileonly,java.lang.ClassLoader::*",
    "-XX:CompileCommand=compileonly,java.lang.Thread::*",
    "-XX:CompileCommand=compileonly,java.security.AccessController::*",
    "-XX:CompileCommand=compileonly,java.lang.invoke.*::*",
    "-XX:CompileCommand=compileonly,java.lang.reflect.*::*",
    "-XX:CompileCommand=compileonly,java.util.zip.*::*",
    "-XX:CompileCommand=compileonly,jdk.internal.reflect.*::*",
    "-XX:CompileCommand=compileonly,sun.reflect.*::*",
    "-XX:CompileCommand=compileonly,zaudit.*::*",
];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials = env.missing();
        trials.extend(per_jdk(env, TESTS));
        trials.extend(suite::table(env, per_jdk(env, SHARED_OUT))?);
        let flags = FLAGS.map(|(name, releases, flags, number)| {
            let test = move |env: &TestEnv, jdk: &Jdk| {
                let walk = random(env, jdk, flags, number)?;
                // What is compiled at once, or thrown away again, is seldom the same twice.
                ensure!(walk.compared > u64::from(number) / 2, "{walk:?}");
                Ok(())
            };
            (name, [Need::Jdk(releases)], test)
        });
        trials.extend(suite::table(env, per_jdk_needing(env, flags))?);
        let since_21 = [Need::since(21)];
        trials.extend(per_jdk_needing(env, [("continuations", since_21, continuations)]));
        trials.extend(frozen::trials(env)?);
        let folder = Arc::new(Folder::fresh()?);
        other_agent::redefining(env, &folder.0)?;
        let redefined = move |env: &TestEnv, jdk: &Jdk| redefined(env, jdk, &folder);
        trials.extend(suite::table(env, per_jdk(env, [("redefined", redefined)]))?);
        Ok(trials)
    })
}

/// What health says of the walk.
#[derive(Debug, Deserialize)]
struct Walk {
    state: String,
    reason: Option<String>,
    stacks: u64,
    fallbacks: BTreeMap<String, u64>,
    compared: u64,
    mismatches: u64,
    frozen: FrozenWalk,
}

/// What it says of stacks with frozen frames.
#[derive(Debug, Deserialize)]
struct FrozenWalk {
    state: String,
    reason: Option<String>,
    stacks: u64,
    compared: u64,
    mismatches: u64,
}

impl Walk {
    fn of(report: &Report) -> Result<Walk> {
        let walk = report.health.details.get("walk").cloned().unwrap_or_default();
        serde_json::from_value(walk).map_err(|error| error.to_string())
    }

    /// Of a run in which nothing may differ.
    fn checked(ended: &Ended) -> Result<Walk> {
        let walk = Walk::of(&ended.report()?)?;
        let right = walk.mismatches == 0
            && walk.state == "on"
            && walk.reason.is_none()
            && walk.frozen.state != "failed";
        ensure!(right, "{walk:?}: {ended}");
        Ok(walk)
    }

    /// Stacks that came from GetStackTrace.
    fn by_jvmti(&self) -> u64 {
        self.fallbacks.values().sum()
    }
}

/// Random stacks under these flags of the JVM.
fn random(env: &TestEnv, jdk: &Jdk, flags: &[&str], number: u32) -> Result<Walk> {
    let number = rounds(number)?;
    let fixture = env.fixture("RandomStacks")?;
    let jvm = Jvm::new(jdk, fixture)?.flags(flags).args(&[&number.to_string()]);
    let ended = jvm.audited(&env.library, "walk=check").run()?;
    ensure!(ended.printed() == "ended\n" && ended.code() == 0, ended.to_string());
    Walk::checked(&ended)
}

fn random_stacks(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let walk = random(env, jdk, &[], 10_000)?;
    ensure!(walk.stacks > walk.by_jvmti() && walk.compared > 15_000, "{walk:?}");
    Ok(())
}

/// Whether it is this release's turn, among those from `since` on, to do what has this index.
fn is_turn_of(env: &TestEnv, jdk: &Jdk, since: u32, index: usize) -> Result<bool> {
    let able: Vec<u32> =
        env.jdks.iter().map(|it| it.major).filter(|major| *major >= since).collect();
    let place = able.iter().position(|major| *major == jdk.major);
    place.map_or(Ok(false), |place| suite::has_turn(index, place, able.len()))
}

/// Every fixture, each on the release whose turn it is.
fn fixtures(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (index, fixture) in env.fixtures.iter().enumerate() {
        if !is_turn_of(env, jdk, fixture.since, index)? {
            continue;
        }
        checked(env, jdk, fixture).map_err(|why| format!("{}: {why}", fixture.name))?;
    }
    Ok(())
}

fn checked(env: &TestEnv, jdk: &Jdk, fixture: &Fixture) -> Result<()> {
    let options = format!("{},walk=check", fixture.options);
    let ended = Jvm::new(jdk, fixture)?.audited(&env.library, &options).run()?;
    Walk::checked(&ended)?;
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}

/// Stacks of which only the innermost frames are kept.
fn cut_stacks(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("RandomStacks")?;
    let jvm = Jvm::new(jdk, fixture)?.args(&["1500"]);
    let ended = jvm.audited(&env.library, "walk=check,depth=4").run()?;
    let walk = Walk::checked(&ended)?;
    ensure!(walk.stacks > walk.by_jvmti(), "{walk:?}");
    Ok(())
}

/// A stack of which GetStackTrace returns only a part makes no kind of frame trusted, so it is not
/// compared, which would take milliseconds each time.
fn too_deep_to_be_compared(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("DeeperThanCompared")?;
    let ended = Jvm::new(jdk, fixture)?.audited(&env.library, "").run()?;
    let walk = Walk::checked(&ended)?;
    ensure!(walk.compared < 50 && walk.by_jvmti() >= 100, "{walk:?}");
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}

/// Code that comes to be where other code was. Without a look whether it is still the same, the
/// walk takes one for the other.
fn reloaded_code(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    const ROUNDS: u32 = 40;
    let fixture = env.fixture("ReloadedCode")?;
    let jvm = || -> Result<Jvm> {
        let flags = ["-XX:TieredStopAtLevel=1", "-Xbatch", "-XX:+UseSerialGC", "-Xmx64m"];
        Ok(Jvm::new(jdk, fixture)?.flags(flags).args(&[&ROUNDS.to_string()]))
    };
    let ended = jvm()?.audited(&env.library, "walk=check").run()?;
    let walk = Walk::checked(&ended)?;
    let new = walk.fallbacks.get("new stack").copied().unwrap_or(0);
    ensure!(walk.compared > 300 * u64::from(ROUNDS) && new >= u64::from(ROUNDS), "{walk:?}");
    // Where older releases put code is not always the same place.
    if jdk.major >= 21 {
        let jvm = jvm()?.env("ZAUDIT_FAULT", "stale-code");
        let ended = jvm.audited(&agent::faulty_library()?, "walk=check").run()?;
        let walk = Walk::of(&ended.unhealthy_report()?)?;
        ensure!(walk.state == "failed" && walk.mismatches == 1, "{walk:?}: {ended}");
    }
    Ok(())
}

fn option_off(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("Ended")?;
    let ended = Jvm::new(jdk, fixture)?.audited(&env.library, "gc,walk=off").run()?;
    let report = ended.report()?;
    let walk = Walk::of(&report)?;
    ensure!(walk.state == "off" && walk.stacks + walk.by_jvmti() == 0, "{walk:?}");
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)
}

/// Continuations that are none of a virtual thread, and some within others.
fn continuations(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("Continuations")?;
    let ended = Jvm::new(jdk, fixture)?.audited(&env.library, "walk=check").run()?;
    let walk = Walk::checked(&ended)?;
    let refused = walk.fallbacks.get("bare or nested continuation").copied().unwrap_or(0);
    ensure!(walk.compared > 1_000 && refused > 100, "{walk:?}");
    ensure!(walk.frozen.stacks > 100 && walk.frozen.state == "on", "{walk:?}");
    Ok(())
}

/// A class that another agent redefines, again and again.
fn redefined(env: &TestEnv, jdk: &Jdk, folder: &Folder) -> Result<()> {
    let jar = folder.0.join("other.jar");
    let option = |name: &str, path: &std::path::Path| {
        let mut option = OsString::from(name);
        option.push(path);
        option
    };
    let flags = [option("-javaagent:", &jar), option("-Dversions=", &folder.0)];
    let jvm = Jvm::program(jdk, jar.as_os_str(), "Redefining")?.flags(flags).args(&["flipping"]);
    let ended = jvm.audited(&env.library, "walk=check").run()?;
    ensure!(ended.printed().ends_with("done\n") && ended.code() == 0, ended.to_string());
    Walk::checked(&ended).map(drop)
}
