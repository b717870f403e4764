//! Files of rules that are not as they should be: each bad line is named, and the good ones hold.
//!
//! Invariant: a file of rules never keeps the program from running, unless `strict` asks for it.

use super::{ensure_messages, ensure_refused};
use std::fs;
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Kind;
use zaudit_tests::suite::TestEnv;

/// Lines 2, 4 and 6 are good.
const SOME_BAD: &str =
    "leek:Finishing.leak\n# a comment\nleak\nleak:Finishing.leak # known\nlive:\nlive:a.B.c\n";
const COMPLAINTS: [&str; 3] = [
    "zaudit: known.rules:1: unknown word \"leek\"; use leak, live, inflater, deflater or zip_entry",
    "zaudit: known.rules:3: must be leak:PATTERN, live:PATTERN or leak,live:PATTERN",
    "zaudit: known.rules:5: a pattern is empty",
];

/// A program that leaks three, with a file of rules.
fn leaking(env: &TestEnv, jdk: &Jdk, rules: &[u8], options: &str) -> Result<Ended> {
    let jvm = Jvm::new(jdk, env.fixture("Finishing")?)?.args(&["return", "leak"]);
    fs::write(jvm.dir().join("known.rules"), rules).map_err(|error| error.to_string())?;
    jvm.audited(&env.library, &format!("gc,{options}")).run()
}

fn ensure_unharmed(ended: &Ended) -> Result<()> {
    ensure!(ended.code() == 0 && ended.printed() == "ready\ndone\n", ended.to_string());
    Ok(())
}

/// How many of the three leaks a rule covers.
fn ensure_covered(ended: &Ended, covered: u64) -> Result<()> {
    let counts = ended.report()?.sum(Kind::Inflater, |site| site.is_of("Finishing"));
    ensure!(counts.expected == covered && counts.late + counts.collected == 3, {
        format!("{counts:?}\n{ended}")
    });
    Ok(())
}

pub(super) fn bad_rules(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let ended = leaking(env, jdk, SOME_BAD.as_bytes(), "suppressions=known.rules")?;
    ensure_unharmed(&ended)?;
    ensure_messages(&ended, &COMPLAINTS)?;
    ensure_covered(&ended, 3)?;
    let text: Vec<String> =
        ended.report()?.rules.into_iter().filter(|r| !r.built_in).map(|r| r.text).collect();
    ensure!(text == ["leak:Finishing.leak", "live:a.B.c"], "{text:?}");
    Ok(())
}

pub(super) fn bad_rules_are_strict(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let ended = leaking(env, jdk, SOME_BAD.as_bytes(), "suppressions=known.rules,strict")?;
    ensure_refused(&ended, &COMPLAINTS)
}

/// A file that is not there is named, and so is a folder; with `strict` the JVM does not start.
pub(super) fn no_rules(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (name, why) in [("missing.rules", "No such file or directory"), (".", "Is a directory")] {
        let line = format!("zaudit: cannot read rules from {name}: {why}");
        let ended = leaking(env, jdk, b"", &format!("suppressions={name}"))?;
        ensure_unharmed(&ended)?;
        ensure_messages(&ended, &[&line])?;
        ensure_covered(&ended, 0)?;
        let refused = leaking(env, jdk, b"", &format!("strict,suppressions={name}"))?;
        ensure_refused(&refused, &[&line])?;
    }
    Ok(())
}

/// Bytes of any kind are a few short lines, with nothing in them that a terminal obeys.
pub(super) fn hostile_rules(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let bytes: Vec<u8> =
        (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let ended = leaking(env, jdk, &bytes, "suppressions=known.rules")?;
    ensure_unharmed(&ended)?;
    ensure_covered(&ended, 0)?;
    let lines = ended.messages();
    let few =
        (1..=22).contains(&lines.len()) && lines.iter().all(|line| line.chars().count() < 300);
    ensure!(few && lines.iter().all(|line| line.contains("known.rules")), ended.to_string());
    ensure!(!ended.stderr().contains(|c: char| c.is_control() && c != '\n'), ended.to_string());
    Ok(())
}

/// The option may be given more than once, and also what cannot be read leaves the other files'
/// rules in force.
pub(super) fn two_files_of_rules(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let options = "suppressions=missing.rules,suppressions=known.rules";
    let ended = leaking(env, jdk, b"\xef\xbb\xbfleak:Finishing.leak\r\n", options)?;
    ensure_unharmed(&ended)?;
    ensure_messages(
        &ended,
        &["zaudit: cannot read rules from missing.rules: No such file or directory"],
    )?;
    ensure_covered(&ended, 3)
}
