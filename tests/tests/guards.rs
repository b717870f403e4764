//! What happens when the agent itself is at fault, on a build whose hooks fail on demand
//! (`ZAUDIT_FAULT`).
//!
//! Invariant: the program goes on with its own output and exit code, and the agent says once what
//! befell it.

use std::process::ExitCode;
use zaudit_tests::Result;
use zaudit_tests::agent;
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::once::{Once, Outcome};
use zaudit_tests::suite::{self, TestEnv, ensure_counts, per_jdk};

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

/// The hooks that panic, and the programs in which they do.
const FAULTS: [&str; 3] = ["created", "ended", "dump"];
const FIXTURES: [&str; 4] = ["NeverEnded", "Ended", "ManyThreads", "ExitWhileCreating"];

const TESTS: [(&str, Test); 2] = [("hook_within_a_hook", reenters), ("loaded_twice", loaded_twice)];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials = env.missing();
        let panicking = FAULTS.into_iter().flat_map(|fault| {
            FIXTURES.map(|fixture| {
                let test = move |env: &TestEnv, jdk: &Jdk| panics(env, jdk, fault, fixture);
                (format!("panic_in_{fault}::{fixture}"), test)
            })
        });
        trials.extend(suite::table(env, per_jdk(env, panicking))?);
        trials.extend(per_jdk(env, TESTS));
        Ok(trials)
    })
}

/// What each program does without the agent, on each release.
static BARE: Once<(u32, &str), Outcome> = Once::new();

/// Runs `fixture` bare and with the failing agent, and ensures that the program did not notice.
fn faulty(env: &TestEnv, jdk: &Jdk, fault: &str, fixture: &'static str) -> Result<Ended> {
    let library = agent::faulty_library()?;
    let jvm =
        || -> Result<Jvm> { Ok(Jvm::new(jdk, env.fixture(fixture)?)?.flags(["-Xcheck:jni"])) };
    let bare = BARE.get((jdk.major, fixture), || Ok(jvm()?.run()?.into()))?;
    let ended = jvm()?.env("ZAUDIT_FAULT", fault).audited(&library, "gc").run()?;
    ensure!(ended.printed() == bare.printed, "stdout differs\n{bare}\n{ended}");
    ensure!(ended.code() == bare.code, "exit codes differ\n{bare}\n{ended}");
    Ok(ended)
}

fn panics(env: &TestEnv, jdk: &Jdk, fault: &str, fixture: &'static str) -> Result<()> {
    let ended = faulty(env, jdk, fault, fixture)?;
    let stderr = ended.stderr();
    let errors = stderr.matches("zaudit: internal error").count();
    ensure!(errors == 1, "{errors} internal errors: {ended}");
    // A native backtrace has addresses or numbered frames, whether or not the library has symbols.
    let backtrace = stderr
        .lines()
        .filter(|line| line.contains("0x") || line.trim_start().starts_with("0:"))
        .count();
    ensure!(backtrace > 0, "no backtrace: {ended}");
    Ok(())
}

/// A hook that makes an Inflater itself: nothing recurs for ever, the program's own are counted,
/// and the report owns up to those that it could not count.
fn reenters(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let ended = faulty(env, jdk, "reenter", "Ended")?;
    ensure!(ended.messages().is_empty(), "nothing to say: {ended}");
    let fixture = env.fixture("Ended")?;
    let report = ended.unhealthy_report()?;
    ensure!(!report.health.ok, "ten were dropped, and health is ok");
    // JDK 8 has a few of its own at start, which have one each, too.
    let dropped = report.health.dropped()?;
    ensure!(dropped >= 10, "at least ten were dropped, and health says {:?}", report.health);
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)
}

/// The second one says so and does nothing; the first one counts each object once.
fn loaded_twice(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("NeverEnded")?;
    let bare = Jvm::new(jdk, fixture)?.run()?;
    let jvm =
        Jvm::new(jdk, fixture)?.audited(&env.library, "gc").agent(&env.library, "file=second.txt");
    let ended = jvm.run()?;
    ensure!(ended.printed() == bare.printed() && ended.code() == bare.code(), ended.to_string());
    let messages = ended.messages();
    let right = messages.len() == 1 && messages[0].contains("already");
    ensure!(right, "one line expected, with `already` in it: {messages:#?}");
    ensure!(!ended.dir().join("second.txt").exists(), "the second one wrote a report");
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}
