//! The text report, held against goldens: what a person reads changes only when somebody meant it
//! to.
//!
//! What differs from run to run (ages, process ids, times, folders) is replaced first. `BLESS=1`
//! rewrites the goldens. Invariant: a golden that is not there is a failure.

use std::process::ExitCode;
use zaudit_tests::ensure;
use zaudit_tests::golden::golden;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::{self, TestEnv, case};
use zaudit_tests::{Result, repository};

/// The golden's name, the fixture, and the options.
const GOLDENS: [(&str, &str, &str); 5] = [
    ("clean", "Ended", "gc"),
    ("leaks", "GzipForgotten", "gc"),
    ("error_path", "ErrorPath", "gc"),
    ("expected", "ZipFileKept", "gc"),
    ("truncated", "DeeperThanLimit", "gc,depth=8"),
];

fn main() -> ExitCode {
    suite::main(|env| {
        let trial = |(name, fixture, options)| {
            case(env, name, move |env| same(env, name, fixture, options))
        };
        let mut trials: Vec<_> = GOLDENS.into_iter().map(trial).collect();
        trials.push(case(env, "normalised", |_| normalises()));
        trials
    })
}

fn same(env: &TestEnv, name: &str, fixture: &str, options: &str) -> Result<()> {
    let ended =
        Jvm::new(env.default_jdk(), env.fixture(fixture)?)?.agent(&env.library, options).run()?;
    let text = normalised(&ended.stderr());
    ensure!(text.contains("SUMMARY: zaudit:"), "no report: {ended}");
    golden(&repository().join("tests/goldens/text").join(format!("{name}.txt")), &text)
}

/// What no two runs or builds of a JDK share becomes `#`: the line about the process, times and
/// latenesses, lines of the JDK's own sources.
fn normalised(text: &str) -> String {
    let mut lines = String::new();
    let mut about_process = false;
    for line in text.lines() {
        about_process = line.starts_with("zaudit ") || (about_process && !line.is_empty());
        if line.starts_with("zaudit ") {
            lines.push_str("zaudit #\n");
        }
        if !about_process {
            lines.push_str(&without_jdk_line(&without_times(line)));
            lines.push('\n');
        }
    }
    lines
}

/// `12.5 ms` and `(3.25 MiB·s)` become `# s` and `(# B·s)`: the unit changes with the number.
fn without_times(line: &str) -> String {
    const TIMES: [&str; 5] = ["µs", "ms", "s", "min", "h"];
    const LATENESSES: [&str; 4] = ["B·s", "KiB·s", "MiB·s", "GiB·s"];
    let core = |word: &str| word.trim_matches(['(', ')', ',', ';', '.', ':']).to_owned();
    let mut words: Vec<String> = line.split(' ').map(String::from).collect();
    for index in 1..words.len() {
        let (number, unit) = (core(&words[index - 1]), core(&words[index]));
        let plain = if TIMES.contains(&unit.as_str()) { "s" } else { "B·s" };
        let known = plain == "s" || LATENESSES.contains(&unit.as_str());
        if known
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit() || ".,".contains(c))
        {
            words[index - 1] = words[index - 1].replacen(&number, "#", 1);
            words[index] = words[index].replacen(&unit, plain, 1);
        }
    }
    words.join(" ")
}

/// `java.util.zip.Inflater.<init>(Inflater.java:132)` becomes `…(Inflater.java:#)`; the fixtures'
/// own lines stay.
fn without_jdk_line(line: &str) -> String {
    let frame = line.trim_start_matches([' ', '>']);
    match line.rsplit_once(".java:") {
        Some((head, _)) if frame.starts_with("java.") => format!("{head}.java:#)"),
        _ => line.to_owned(),
    }
}

fn normalises() -> Result<()> {
    for (text, expected) in [
        (
            "SUMMARY\nzaudit 0.1.0, at exit after 12 ms, pid 7:\n  Main\n\nLEAK",
            "SUMMARY\nzaudit #\n\nLEAK\n",
        ),
        (
            "each held ≈39.1 KiB for 12.5 ms on average (3.25 MiB·s)",
            "each held ≈39.1 KiB for # s on average (# B·s)\n",
        ),
        ("9,998 of 10,000 were ended", "9,998 of 10,000 were ended\n"),
        ("    > Main.run(Main.java:12)", "    > Main.run(Main.java:12)\n"),
        ("      java.util.A.<init>(A.java:12)", "      java.util.A.<init>(A.java:#)\n"),
    ] {
        ensure!(normalised(text) == expected, "{text:?} became {:?}", normalised(text));
    }
    Ok(())
}
