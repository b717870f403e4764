//! What is not reported: maxima, rules out of a report, the built-in ones turned off, baselines.
//!
//! Invariant: whatever is expected or known, every count of the report is what it is without.

use super::{ensure_messages, ensure_refused, read, write};
use std::path::Path;
use std::process::{Command, Stdio};
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Kind, Report, Severity};
use zaudit_tests::suite::TestEnv;
use zaudit_tests::{Result, agent};

const CODE: i32 = 23;
const LEAK: &str = "zaudit: exit code 23 instead of 0: 3 Inflaters were never ended; only the garbage collector freed them";
const OPEN: &str = "zaudit: exit code 23 instead of 0: 3 Inflaters are suspects (fail_on=live:1)";

/// Runs the program that leaks or keeps three, with files beside it.
fn run(env: &TestEnv, jdk: &Jdk, what: &str, files: &[(&str, &str)], more: &str) -> Result<Ended> {
    let jvm = Jvm::new(jdk, env.fixture("Finishing")?)?.args(&["return", what]);
    for (name, text) in files {
        write(&jvm.dir().join(name), text)?;
    }
    jvm.audited(&env.library, &format!("gc,exit_code={CODE}{more}")).run()
}

/// It failed with this line, or not at all.
fn ensure_failed(ended: &Ended, line: Option<&str>) -> Result<()> {
    ensure!(ended.code() == line.map_or(0, |_| CODE), "{line:?} is due: {ended}");
    ensure_messages(ended, &line.into_iter().collect::<Vec<_>>())
}

/// What became of the program's own, whatever is thought of it.
fn ensure_counts(report: &Report, lost: u64, live: u64, expected: u64) -> Result<()> {
    let counts = report
        .sum(Kind::Inflater, |site| site.is_of("Finishing") && !site.frames.iter().any(is_zip));
    let right =
        (counts.late + counts.collected, counts.live, counts.expected) == (lost, live, expected);
    ensure!(right, "{lost} lost, {live} live, {expected} expected: {counts:?}");
    Ok(())
}

fn is_zip(frame: &zaudit_tests::report::Frame) -> bool {
    frame.class.starts_with("java.util.zip.ZipFile")
}

fn zaudit(words: &[&str], folder: &Path) -> Result<String> {
    let mut command = Command::new(agent::command()?);
    let output = command.args(words).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("zaudit: {error}"))?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The rules that are written out of a report make the same run clean, and one that finds more
/// fails again.
pub(super) fn suppressed(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (what, lost, live, line) in [("leak", 3, 0, LEAK), ("keep", 0, 3, OPEN)] {
        let failing = run(env, jdk, what, &[], ",fail_on=live:1")?;
        ensure_failed(&failing, Some(line))?;
        zaudit(&["suppress", "r.json", "--output", "known.rules"], failing.dir())?;
        let rules = read(&failing.dir().join("known.rules"))?;
        let severity = if lost > 0 { "leak" } else { "live" };
        let rule = format!("{severity}:java.util.zip.Inflater.<init> << Finishing.{what} max=3\n");
        ensure!(rules.ends_with(&rule), rules.clone());
        let options = ",fail_on=live:1,suppressions=known.rules";
        let clean = run(env, jdk, what, &[("known.rules", &rules)], options)?;
        ensure_failed(&clean, None)?;
        let report = clean.report()?;
        ensure_counts(&report, lost, live, 3)?;
        let own: Vec<_> = report.rules.iter().filter(|rule| !rule.built_in).collect();
        let right = own.len() == 1
            && own.iter().all(|rule| rule.matched == 3 && rule.source.starts_with("known.rules:"));
        ensure!(right && own.iter().all(|rule| rule.max == Some(3)), "{own:?}");
        // Nothing of it is left to suppress.
        let nothing = zaudit(&["suppress", "r.json"], clean.dir())?;
        ensure!(nothing.lines().all(|line| line.starts_with('#')), nothing.clone());
        let fewer = rules.replace("max=3", "max=2");
        let over = run(env, jdk, what, &[("known.rules", &fewer)], ",suppressions=known.rules")?;
        ensure!(over.code() == CODE, over.to_string());
        let rule = rule.trim_end().replace("max=3", "max=2");
        ensure!(
            over.messages().iter().any(|line| line
                .ends_with(&format!("rule {rule} is over its maximum: 3 found, 2 allowed"))),
            over.to_string()
        );
        let report = over.report()?;
        ensure_counts(&report, lost, live, 2)?;
        ensure!(report.rules.iter().any(|rule| rule.over && rule.excess == 1), over.to_string());
    }
    Ok(())
}

/// Live ones beyond a maximum fail without `fail_on`.
pub(super) fn over_the_maximum(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let rules = "live:Finishing.keep max=2\nleak:Finishing.keep max=0\n";
    let ended = run(env, jdk, "keep", &[("pool.rules", rules)], ",suppressions=pool.rules")?;
    let line = "zaudit: exit code 23 instead of 0: rule live:Finishing.keep max=2 is over its maximum: 3 found, 2 allowed";
    ensure_failed(&ended, Some(line))?;
    let ended = run(
        env,
        jdk,
        "leak",
        &[("pool.rules", rules)],
        ",suppressions=pool.rules,file=r.txt,format=auto",
    )?;
    ensure!(ended.code() == CODE, ended.to_string());
    let text = read(&ended.dir().join("r.txt"))?;
    let unused = "RULES not used: 2 rules: live:Finishing.keep max=2 (pool.rules:1), leak:Finishing.keep max=0 (pool.rules:2)";
    ensure!(text.lines().any(|line| line == unused), text.clone());
    Ok(())
}

/// Without the built-in rules the JDK's own caches are like anybody's, and everything still adds
/// up.
pub(super) fn nothing_built_in(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let plain = run(env, jdk, "keep", &[], "")?;
    let ended = run(env, jdk, "keep", &[], ",default_suppressions=false,fail_on=live:1")?;
    ensure!(ended.code() == CODE, ended.to_string());
    let (plain, report) = (plain.report()?, ended.report()?);
    ensure!(plain.rules.iter().all(|rule| rule.built_in && rule.source == "built-in"), {
        format!("{:?}", plain.rules)
    });
    ensure!(report.rules.is_empty() && !plain.rules.is_empty(), "{:?}", report.rules);
    ensure_counts(&report, 0, 3, 0)?;
    // The list that is printed is a file of rules, and stands for what it lists.
    let list = zaudit(&["suppress", "--built-in"], ended.dir())?;
    let options = ",default_suppressions=false,suppressions=jdk.rules";
    let listed = run(env, jdk, "keep", &[("jdk.rules", &list)], options)?;
    ensure_failed(&listed, None)?;
    let texts =
        |report: &Report| report.rules.iter().map(|rule| rule.text.clone()).collect::<Vec<_>>();
    let listed = listed.report()?;
    ensure!(texts(&listed) == texts(&plain), "{:?}", listed.rules);
    Ok(())
}

/// What is as it was passes, what has grown or is new fails, and no count is another one.
pub(super) fn baseline(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    const BASELINE: &str = ",fail_on=live:1,baseline=old.json";
    for (what, lost, live, line) in [("leak", 3, 0, LEAK), ("keep", 0, 3, OPEN)] {
        let before = run(env, jdk, what, &[], ",fail_on=live:1")?;
        ensure_failed(&before, Some(line))?;
        let old = read(&before.dir().join("r.json"))?;
        let same = run(env, jdk, what, &[("old.json", &old)], BASELINE)?;
        ensure_failed(&same, None)?;
        let report = same.report()?;
        ensure_counts(&report, lost, live, 0)?;
        ensure!(report.sites.iter().all(|site| site.severity == Severity::Clean), same.to_string());
        ensure!(
            report.baseline.as_ref().is_some_and(|old| old.known == 3 && old.file == "old.json"),
            same.to_string()
        );
        // The baseline of a run that had one is as good.
        let chained = read(&same.dir().join("r.json"))?;
        ensure_failed(&run(env, jdk, what, &[("old.json", &chained)], BASELINE)?, None)?;
        let fewer = fewer(&old)?;
        let grown = run(env, jdk, what, &[("old.json", &fewer)], BASELINE)?;
        let one = [
            ("3 Inflaters were", "1 Inflater was"),
            ("freed them", "freed it"),
            ("3 Inflaters are suspects", "1 Inflater is a suspect"),
        ];
        let fewer = one.iter().fold(line.to_owned(), |line, (many, one)| line.replace(many, one));
        ensure_failed(&grown, Some(&fewer))?;
        ensure_counts(&grown.report()?, lost, live, 0)?;
        // Of another program: all is new.
        let other = read(&run(env, jdk, "clean", &[], "")?.dir().join("r.json"))?;
        let new = run(env, jdk, what, &[("old.json", &other)], BASELINE)?;
        ensure_failed(&new, Some(line))?;
        let text = run(
            env,
            jdk,
            what,
            &[("old.json", &old)],
            ",baseline=old.json,file=r.txt,format=auto",
        )?;
        let text = read(&text.dir().join("r.txt"))?;
        ensure!(
            text.starts_with("SUMMARY: zaudit: no new ")
                && text.contains("; 3 not ended, as in the baseline"),
            text.clone()
        );
    }
    Ok(())
}

/// The report with one less at each site that has any.
fn fewer(report: &str) -> Result<String> {
    let mut root: serde_json::Value =
        serde_json::from_str(report).map_err(|error| error.to_string())?;
    for site in root["sites"].as_array_mut().into_iter().flatten() {
        for field in ["leaked", "suspects"] {
            let count = site[field].as_u64().ok_or("no count")?;
            site[field] = count.saturating_sub(1).into();
        }
    }
    Ok(root.to_string())
}

/// A baseline that cannot be read is one line, and everything is reported; with `strict` the JVM
/// does not start.
pub(super) fn bad_baselines(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (name, text, why) in [
        ("missing.json", "", "No such file or directory"),
        (".", "", "Is a directory"),
        ("old.json", "", "not a zaudit JSON report: EOF while parsing a value at line 1 column 0"),
        (
            "old.json",
            "SUMMARY: zaudit: no leaks\n",
            "not a zaudit JSON report: expected value at line 1 column 1",
        ),
        (
            "old.json",
            "{\"schema\": \"other/1\"}",
            "unsupported schema \"other/1\"; this version of zaudit reads zaudit-report/1",
        ),
    ] {
        let line = format!(
            "zaudit: cannot read the baseline {name}: {why}; every finding is reported as new"
        );
        let files: &[(&str, &str)] = if name == "old.json" { &[(name, text)] } else { &[] };
        let ended = run(env, jdk, "leak", files, &format!(",baseline={name}"))?;
        ensure_messages(&ended, &[&line, LEAK])?;
        ensure!(ended.code() == CODE, ended.to_string());
        let report = ended.report()?;
        ensure!(report.baseline.is_none(), ended.to_string());
        ensure_counts(&report, 3, 0, 0)?;
        let refused = run(env, jdk, "leak", files, &format!(",strict,baseline={name}"))?;
        ensure_refused(&refused, &[&line])?;
    }
    Ok(())
}
