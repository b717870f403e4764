//! The text report, held against goldens: what a person reads changes only when somebody meant it to.
//!
//! What differs from run to run (ages, process ids, times, folders) is replaced first. `BLESS=1` rewrites the goldens.
//! Invariant: a golden that is not there is a failure.

use std::fs;
use std::process::ExitCode;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::{self, Bench, cell, claim};
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
    suite::main(|bench| {
        let golden =
            |(name, fixture, options)| cell(bench, name, move |bench| same(bench, name, fixture, options));
        let mut trials: Vec<_> = GOLDENS.into_iter().map(golden).collect();
        trials.push(cell(bench, "normalised", |_| normalises()));
        trials
    })
}

fn same(bench: &Bench, name: &str, fixture: &str, options: &str) -> Result<()> {
    let ended =
        Jvm::new(bench.default_jdk(), bench.fixture(fixture)?)?.agent(&bench.library, options).run()?;
    let text = normalised(&ended.stderr());
    claim(text.contains("SUMMARY: zaudit:"), || format!("no report: {ended}"))?;
    let golden = repository().join("tests/goldens/text").join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        let folder = golden.parent().expect("a golden has a folder");
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        return fs::write(&golden, text).map_err(|error| error.to_string());
    }
    let stored = fs::read_to_string(&golden)
        .map_err(|error| format!("{}: {error}; BLESS=1 makes it", golden.display()))?;
    claim(stored == text, || format!("{} differs; this is it now:\n{text}", golden.display()))
}

/// Numbers that no two runs share become `#`: those with a unit of time, of lateness, and what follows `pid`.
fn normalised(text: &str) -> String {
    const UNITS: [&str; 11] = ["ms", "us", "µs", "ns", "s", "m", "min", "h", "d", "MiB·s", "KiB·s"];
    let mut lines = String::new();
    for line in text.lines() {
        let mut words: Vec<String> = Vec::new();
        let all: Vec<&str> = line.split(' ').collect();
        for (index, word) in all.iter().enumerate() {
            let core = word.trim_matches(['(', ')', ',', ';', '.', ':']);
            let unit = core.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            let number =
                !core.is_empty() && core.len() > unit.len() && core.starts_with(|c: char| c.is_ascii_digit());
            let next = all.get(index + 1).map(|next| next.trim_matches(['(', ')', ',', ';', '.', ':']));
            let before = index.checked_sub(1).and_then(|index| all.get(index)).copied();
            let timed =
                UNITS.contains(&unit) || (unit.is_empty() && next.is_some_and(|next| UNITS.contains(&next)));
            let changing = number && (timed || before == Some("pid"));
            words.push(if changing {
                word.replacen(core, &format!("#{unit}"), 1)
            } else {
                (*word).to_string()
            });
        }
        lines.push_str(words.join(" ").trim_end());
        lines.push('\n');
    }
    lines
}

fn normalises() -> Result<()> {
    for (text, expected) in [
        ("oldest 12.5 s, pid 4711", "oldest # s, pid #\n"),
        ("held for 12ms (3.25 MiB·s)", "held for #ms (# MiB·s)\n"),
        ("9,998 of 10,000 were ended", "9,998 of 10,000 were ended\n"),
        ("at Main.run(Main.java:12)", "at Main.run(Main.java:12)\n"),
    ] {
        claim(normalised(text) == expected, || format!("{text:?} became {:?}", normalised(text)))?;
    }
    Ok(())
}
