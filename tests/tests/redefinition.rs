//! Classes that another agent redefines: each instance is at the line that its maker had in the
//! version that ran.
//!
//! Invariant: what is expected is known to the unit, or bounded by what the program itself has
//! counted.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use zaudit_tests::agent;
use zaudit_tests::child::{Ended, Folder};
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Kind;
use zaudit_tests::suite::{self, Need, TestEnv, per_jdk_needing};
use zaudit_tests::{Result, other_agent, repository};

type Test = fn(&TestEnv, &Jdk, &Path) -> Result<()>;

const TESTS: [(&str, u32, Test); 7] = [
    ("window_behind_our_hook", 9, |env, jdk, folder| window(env, jdk, folder, Loaded::ByLauncher)),
    ("window_before_our_hook", 8, |env, jdk, folder| window(env, jdk, folder, Loaded::ByFlag)),
    ("failing", 8, failing),
    ("staying", 8, staying),
    ("flipping", 8, flipping),
    ("hooks_stay", 8, hooks_stay),
    ("unseen", 8, unseen),
];

/// How the other agent comes: agents see a new version in the order in which they came.
#[derive(Clone, Copy)]
enum Loaded {
    /// `-javaagent`: before ours begins its audit.
    ByFlag,
    /// Just before `main`, so that what it does is between our hook and the installation.
    ByLauncher,
}

fn main() -> ExitCode {
    suite::main_with(|env| {
        let folder = Arc::new(Folder::fresh()?);
        other_agent::redefining(env, &folder.0)?;
        let mut trials = env.missing();
        let tests = TESTS.map(|(name, since, test)| {
            let folder = Arc::clone(&folder);
            let test = move |env: &TestEnv, jdk: &Jdk| test(env, jdk, &folder.0);
            (name, [Need::since(since)], test)
        });
        trials.extend(per_jdk_needing(env, tests));
        Ok(trials)
    })
}

/// The program that does what `way` says.
fn program(jdk: &Jdk, folder: &Path, way: &str, loaded: Loaded) -> Result<Jvm> {
    let jar = folder.join("other.jar");
    let mut flag = OsString::from("-javaagent:");
    flag.push(&jar);
    let mut versions = OsString::from("-Dversions=");
    versions.push(folder);
    let jvm = match loaded {
        Loaded::ByFlag => {
            Jvm::program(jdk, jar.as_os_str(), "Redefining")?.flags([&flag]).args(&[way])
        }
        Loaded::ByLauncher => {
            Jvm::program(jdk, jar.as_os_str(), "-jar")?.args(&[&jar.display().to_string(), way])
        }
    };
    Ok(jvm.flags([&versions]).flags(["-Xcheck:jni"]))
}

fn run(env: &TestEnv, jdk: &Jdk, folder: &Path, way: &str, loaded: Loaded) -> Result<Ended> {
    let jvm = || program(jdk, folder, way, loaded);
    let ended = jvm()?.audited(&env.library, "").run()?;
    ensure!(ended.printed().ends_with("done\n") && ended.code() == 0, ended.to_string());
    ensure!(ended.messages().is_empty(), ended.to_string());
    let mut complaints = ended.complaints();
    if !complaints.is_empty() {
        // JDK 8 complains of its own support for agents.
        let bare = jvm()?.run()?.complaints();
        complaints.retain(|complaint| !bare.contains(complaint));
    }
    ensure!(complaints.is_empty(), ended.to_string());
    Ok(ended)
}

/// How many were made by `method` of the class, by line.
fn made(ended: &Ended, method: &str) -> Result<BTreeMap<u32, u64>> {
    let mut lines = BTreeMap::new();
    for site in ended.report()?.sites.iter().filter(|site| site.kind == Kind::Inflater) {
        let frame = site.frames.iter().find(|frame| frame.to_string() == format!("Made.{method}"));
        if let Some(line) = frame.and_then(|frame| frame.line) {
            *lines.entry(line).or_default() += site.counts.created;
        }
    }
    Ok(lines)
}

/// The line that ends with the comment `mark`, in a version of the class.
fn line(version: &str, mark: &str) -> Result<u32> {
    let path = repository().join("java-fixtures/redefined").join(version).join("Made.java");
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let found = text.lines().position(|line| line.ends_with(&format!("// {mark}")));
    let index = found.ok_or_else(|| format!("{}: no line {mark}", path.display()))?;
    u32::try_from(index + 1).map_err(|error| error.to_string())
}

fn ensure_made(ended: &Ended, method: &str, expected: &[(u32, u64)]) -> Result<()> {
    let (lines, expected) = (made(ended, method)?, expected.iter().copied().collect());
    ensure!(lines == expected, "{method}: {expected:?} expected, and not {lines:?}: {ended}");
    Ok(())
}

/// Made while the new version is on its way, and not yet installed.
fn window(env: &TestEnv, jdk: &Jdk, folder: &Path, loaded: Loaded) -> Result<()> {
    let ended = run(env, jdk, folder, "window", loaded)?;
    ensure_made(&ended, "make", &[(line("", "make")?, 3 + 4 + 4), (line("moved", "make")?, 5 + 7)])
}

/// Another agent has the JVM begin again from the original bytes of `Inflater`.
fn hooks_stay(env: &TestEnv, jdk: &Jdk, folder: &Path) -> Result<()> {
    let ended = run(env, jdk, folder, "hooked", Loaded::ByFlag)?;
    ensure_made(&ended, "make", &[(line("", "make")?, 3 + 4)])
}

/// An agent whose changes are not announced takes the hooks away. The report says so.
fn unseen(_: &TestEnv, jdk: &Jdk, folder: &Path) -> Result<()> {
    let run = |fault: &str| -> Result<Ended> {
        let jvm = program(jdk, folder, "hooked", Loaded::ByFlag)?.env("ZAUDIT_FAULT", fault);
        jvm.audited(&agent::faulty_library()?, "").run()
    };
    run("none")?.report()?;
    let ended = run("unseen")?;
    let unreadable = format!("{:?}", ended.unhealthy_report()?.health.details.get("unreadable"));
    ensure!(unreadable.contains("has changed an audited class unseen"), "{unreadable}: {ended}");
    Ok(())
}

/// What is refused changes nothing, and what comes after it is seen.
fn failing(env: &TestEnv, jdk: &Jdk, folder: &Path) -> Result<()> {
    let ended = run(env, jdk, folder, "failing", Loaded::ByFlag)?;
    ensure_made(&ended, "make", &[(line("", "make")?, 3 + 2 + 4), (line("moved", "make")?, 5)])
}

/// A call that is under way goes on in the old version.
fn staying(env: &TestEnv, jdk: &Jdk, folder: &Path) -> Result<()> {
    let ended = run(env, jdk, folder, "staying", Loaded::ByFlag)?;
    let lines = [("", "before"), ("", "after"), ("moved", "before"), ("moved", "after")];
    let mut expected = Vec::new();
    for (version, mark) in lines {
        expected.push((line(version, mark)?, 1));
    }
    ensure_made(&ended, "stay", &expected)
}

/// Four threads make them all the time while the versions take turns.
fn flipping(env: &TestEnv, jdk: &Jdk, folder: &Path) -> Result<()> {
    let ended = run(env, jdk, folder, "flipping", Loaded::ByFlag)?;
    let printed = ended.printed();
    let numbers: Vec<u64> =
        printed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [first, moved, either] = numbers[..] else {
        return Err(format!("three numbers expected: {ended}"));
    };
    let lines = made(&ended, "make")?;
    let at = |line: u32| lines.get(&line).copied().unwrap_or(0);
    let (at_first, at_moved) = (at(line("", "make")?), at(line("moved", "make")?));
    let right =
        at_first >= first && at_moved >= moved && at_first + at_moved == first + moved + either;
    ensure!(right && first > 0 && moved > 0, {
        format!("{first} and {moved} are sure, {either} are either, and these were seen: {lines:?}")
    });
    Ok(())
}
