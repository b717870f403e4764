//! Audits that run for good: snapshots, trends, the gate, and the agent in every JVM that a shell
//! or a build starts.
//!
//! The cases stand in rooms of their own. Invariant: whatever befalls the agent's files, and
//! whatever the gate says, the program prints what it prints and does what it does.

mod children;
mod environment;
mod expected;
mod gate;
mod maven;
mod rules;
mod snapshots;
mod storage;
mod trend;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zaudit_tests::Result;
use zaudit_tests::child::{Ended, Running};
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::report::Report;
use zaudit_tests::suite::{self, Need, TestEnv, case_needing, on_jdk, per_jdk, per_jdk_needing};

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

/// On every fourth JDK, or on every one with more rounds: they differ little in this.
const SHARED_OUT: [(&str, Test); 27] = [
    ("killed", snapshots::killed),
    ("link_is_replaced", snapshots::link_is_replaced),
    ("newest_are_kept", snapshots::newest_are_kept),
    ("names", snapshots::names),
    ("snapshot_while_it_ends", snapshots::snapshot_while_it_ends),
    ("folder_comes_and_goes", storage::folder_comes_and_goes),
    ("pool_and_leak", trend::pool_and_leak),
    ("pool_and_leak_in_words", trend::in_words),
    ("min_age", trend::min_age),
    ("gate::return", |env, jdk| gate::table(env, jdk, "return")),
    ("gate::exit", |env, jdk| gate::table(env, jdk, "exit")),
    ("gate::halt", |env, jdk| gate::table(env, jdk, "halt")),
    ("gate::other_endings", gate::other_endings),
    ("gate::limits", gate::limits),
    ("gate::much_output_first", gate::much_output_first),
    ("gate::found_by_duration", gate::found_by_duration),
    ("gate::found_by_disarm", gate::found_by_disarm),
    ("expected::suppressed", expected::suppressed),
    ("expected::nothing_built_in", expected::nothing_built_in),
    ("expected::baseline", expected::baseline),
    ("every_jvm::tools", environment::tools),
    ("every_jvm::children", environment::children),
    ("every_jvm::snapshots", environment::snapshots),
    ("quiet", environment::quiet),
    ("quiet_at_last", environment::quiet_at_last),
    ("nothing_is_inherited", children::nothing_is_inherited),
    ("descriptors_close_on_exec", children::descriptors_close_on_exec),
];

/// With calls of C from Java.
const SINCE_25: [(&str, [Need; 1], Test); 2] = [
    ("gate::native_output", [Need::since(25)], gate::native_output),
    ("nothing_is_inherited_by_system", [Need::since(25)], children::nothing_is_inherited_by_system),
];

/// On one.
const ONCE: [(&str, Test); 16] = [
    ("interval_without_a_file", snapshots::interval_without_a_file),
    ("interval_without_a_file_is_strict", snapshots::interval_without_a_file_is_strict),
    ("bad_rules", rules::bad_rules),
    ("bad_rules_are_strict", rules::bad_rules_are_strict),
    ("no_rules", rules::no_rules),
    ("hostile_rules", rules::hostile_rules),
    ("over_the_maximum", expected::over_the_maximum),
    ("bad_baselines", expected::bad_baselines),
    ("two_files_of_rules", rules::two_files_of_rules),
    ("options_from_anywhere", environment::options_from_anywhere),
    ("every_jvm::aloud", environment::aloud),
    ("maven::page", maven::page),
    ("maven::suppressed", maven::suppressed),
    ("maven::fork_modes", maven::fork_modes),
    ("maven::no_fork", maven::no_fork),
    ("maven::failures_ignored", maven::failures_ignored),
];

/// On the oldest, the default and the newest JDK: Maven takes its time.
const WITH_MAVEN: [(&str, Test); 2] =
    [("maven::leak", maven::leak), ("maven::fixed", maven::fixed)];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials = env.missing();
        let (default, ends) = (env.default_jdk(), [env.jdks.first(), env.jdks.last()]);
        trials.extend(suite::table(env, per_jdk(env, SHARED_OUT))?);
        trials.extend(per_jdk_needing(env, SINCE_25));
        let with_maven = env.jdks.iter().filter(|jdk| *jdk == default || ends.contains(&Some(jdk)));
        trials.extend(
            with_maven
                .flat_map(|jdk| WITH_MAVEN.map(|(name, test)| on_jdk(env, jdk, name, &[], test))),
        );
        trials.extend(ONCE.map(|(name, test)| case_needing(env, name, &[], default, test)));
        trials.extend(storage::full_disk(env));
        Ok(trials)
    })
}

/// Seconds since 1970, as reports have them. A report that was taken later knows all that was done
/// until now.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Waits for a report in the file `name` that was taken later than `after`. All that is read on the
/// way is checked, too.
fn newer(running: &mut Running, name: &str, after: f64) -> Result<Report> {
    const LIMIT: Duration = Duration::from_secs(60);
    let deadline = Instant::now() + LIMIT;
    loop {
        let report = running.wait_for_report(name)?;
        if report.process.taken > after {
            return Ok(report);
        }
        ensure!(Instant::now() < deadline, "no report in {name} was taken after {after}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The names of the files in `folder`, sorted.
fn listed(folder: &Path) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The agent's messages are exactly these.
fn ensure_messages(ended: &Ended, expected: &[&str]) -> Result<()> {
    let messages = ended.messages();
    ensure!(messages == expected, "expected {expected:#?}, got {messages:#?}\n{ended}");
    Ok(())
}

/// Ensures that the JVM does not start: after `complaints`, the option `strict` is the reason.
fn ensure_refused(ended: &Ended, complaints: &[&str]) -> Result<()> {
    let refusal = "zaudit: the JVM does not start, because the option strict is set";
    ensure_messages(ended, &[complaints, &[refusal]].concat())?;
    // What the JVM itself says of it is on its standard output.
    let began = ["ready", "packed"].iter().any(|word| ended.printed().contains(word));
    ensure!(ended.code() == 1 && !began, ended.to_string());
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
