//! Options that make no sense and files that cannot be written: one clear line, and the program does not notice.
//!
//! Invariant: a bad option never keeps the JVM from starting unless `strict` asks for it, and a report is never lost: what
//! cannot go to its file goes to stderr.

use libtest_mimic::Trial;
use std::ffi::OsString;
use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::{self, Bench, cell};

/// What a row is called, the options, and what the one line must name.
const OPTIONS: [(&str, &str, &[&str]); 26] = [
    ("unknown_key", "gc,colour", &["colour"]),
    ("nearest_name", "gc,dept=64", &["dept", "depth"]),
    ("nearest_name_of_file", "gc,fil=r.txt", &["fil", "file"]),
    ("key_in_capitals", "gc,DEPTH=64", &["DEPTH"]),
    ("number_in_words", "gc,depth=many", &["depth", "many"]),
    ("negative_number", "gc,depth=-1", &["depth", "-1"]),
    ("fraction", "gc,depth=1.5", &["depth", "1.5"]),
    ("too_big_a_number", "gc,depth=99999999999999999999", &["depth"]),
    ("zero_depth", "gc,depth=0", &["depth", "0"]),
    ("unit_that_does_not_exist", "gc,depth=64q", &["depth", "64q"]),
    ("unit_of_another_thing", "gc,depth=64s", &["depth", "64s"]),
    ("empty_value", "gc,depth=", &["depth"]),
    ("missing_value", "gc,depth", &["depth"]),
    ("missing_file_name", "gc,file", &["file"]),
    ("empty_file_name", "gc,file=", &["file"]),
    ("empty_key", "gc,=64", &["=64"]),
    ("flag_with_nonsense", "gc=perhaps", &["gc", "perhaps"]),
    ("format_that_does_not_exist", "gc,format=yaml", &["format", "yaml"]),
    ("signal_that_does_not_exist", "gc,signal=SIGFOO", &["signal", "SIGFOO"]),
    ("signal_of_the_jvm", "gc,signal=SIGQUIT", &["signal", "SIGQUIT"]),
    ("signal_of_the_jvm_usr2", "gc,signal=USR2", &["signal", "USR2"]),
    ("signal_that_nobody_catches", "gc,signal=SIGKILL", &["signal", "SIGKILL"]),
    ("signal_of_crashes", "gc,signal=SEGV", &["signal", "SEGV"]),
    ("empty_signal", "gc,signal=", &["signal"]),
    ("pattern_that_does_not_exist", "gc,file=r.%q.txt", &["%q"]),
    ("options_file_that_is_not_there", "gc,@missing.options", &["missing.options"]),
];

/// What a row is called, and the file that cannot be written.
const FILES: [(&str, &str); 5] = [
    ("full_disk", "/dev/full"),
    ("missing_folder", "missing/r.json"),
    ("folder", "folder"),
    ("folder_with_a_slash", "folder/"),
    ("below_a_file", "plain/r.json"),
];

fn main() -> ExitCode {
    suite::main(|bench| {
        let mut trials: Vec<Trial> = Vec::new();
        for (name, options, named) in OPTIONS {
            trials
                .push(cell(bench, format!("option::{name}"), move |bench| bad_option(bench, options, named)));
        }
        for (name, file) in FILES {
            trials.push(cell(bench, format!("file::{name}"), move |bench| bad_file(bench, file)));
        }
        trials.push(cell(bench, "option::not_utf8", not_utf8));
        trials.push(cell(bench, "option::two_bad_ones", two_bad_ones));
        trials.push(cell(bench, "option::in_the_environment", in_the_environment));
        trials.push(cell(bench, "option::in_a_file", in_a_file));
        trials.push(cell(bench, "file::demanded", demanded));
        trials.push(cell(bench, "file::no_rights", no_rights));
        trials.push(cell(bench, "strict::good", strict_good));
        trials.push(cell(bench, "strict::bad_after", |bench| strict_bad(bench, "strict,bogus=1")));
        trials.push(cell(bench, "strict::bad_before", |bench| strict_bad(bench, "bogus=1,strict")));
        trials.push(cell(bench, "strict::bad_value", |bench| strict_bad(bench, "strict,depth=many")));
        trials.push(cell(bench, "strict::bad_signal", |bench| strict_bad(bench, "strict,signal=SIGFOO")));
        trials.push(cell(bench, "help::table", help));
        trials.push(cell(bench, "help::no_options", no_options));
        trials
    })
}

fn jvm(bench: &Bench) -> Result<Jvm> {
    let jvm = Jvm::new(bench.default_jdk(), bench.fixture("NeverEnded")?)?.flags(["-Xcheck:jni"]);
    fs::create_dir(jvm.dir().join("folder")).map_err(|error| error.to_string())?;
    fs::write(jvm.dir().join("plain"), "").map_err(|error| error.to_string())?;
    Ok(jvm)
}

/// The program ran as it does bare.
fn unharmed(bench: &Bench, ended: &Ended) -> Result<()> {
    let bare = jvm(bench)?.run()?;
    ensure!(ended.printed() == bare.printed() && ended.code() == bare.code(), "{bare}\n{ended}");
    Ok(())
}

/// The one line of the agent, with all of `named` in it.
fn claim_one_line(ended: &Ended, named: &[&str]) -> Result<()> {
    let messages = ended.messages();
    let told = messages.len() == 1 && named.iter().all(|name| messages[0].contains(name));
    ensure!(told, "one `zaudit:` line with {named:?} expected, got {messages:#?}\n{ended}");
    Ok(())
}

/// The text report is on stderr, and it found the leak.
fn claim_summary(ended: &Ended) -> Result<()> {
    claim_report(ended, "SUMMARY: zaudit:")
}

/// A report with this in it is on stderr, once, and it found the leak.
fn claim_report(ended: &Ended, begins: &str) -> Result<()> {
    let stderr = ended.stderr();
    ensure!(stderr.matches(begins).count() == 1, "no report: {ended}");
    ensure!(stderr.contains("NeverEnded"), "no word about the leak: {ended}");
    Ok(())
}

fn bad_option(bench: &Bench, options: &str, named: &[&str]) -> Result<()> {
    let ended = jvm(bench)?.agent(&bench.library, options).run()?;
    unharmed(bench, &ended)?;
    claim_one_line(&ended, named)?;
    claim_summary(&ended)
}

fn not_utf8(bench: &Bench) -> Result<()> {
    let options = OsString::from_vec(b"gc,dep\xffth=64".to_vec());
    ensure!(options.as_bytes().contains(&0xff), "not UTF-8 is meant");
    let ended = jvm(bench)?.agent(&bench.library, options).run()?;
    unharmed(bench, &ended)?;
    claim_one_line(&ended, &["th=64"])?;
    claim_summary(&ended)
}

fn two_bad_ones(bench: &Bench) -> Result<()> {
    let ended = jvm(bench)?.agent(&bench.library, "colour,gc,depth=many").run()?;
    unharmed(bench, &ended)?;
    let messages = ended.messages();
    ensure!(messages.len() == 2, "a line each expected: {messages:#?}");
    claim_summary(&ended)
}

fn in_the_environment(bench: &Bench) -> Result<()> {
    let ended = jvm(bench)?.env("ZAUDIT_OPTIONS", "colour").agent(&bench.library, "gc").run()?;
    unharmed(bench, &ended)?;
    claim_one_line(&ended, &["colour"])?;
    claim_summary(&ended)
}

fn in_a_file(bench: &Bench) -> Result<()> {
    let jvm = jvm(bench)?;
    fs::write(jvm.dir().join("some.options"), "gc\ndepth=many\n").map_err(|error| error.to_string())?;
    let ended = jvm.agent(&bench.library, "@some.options").run()?;
    unharmed(bench, &ended)?;
    claim_one_line(&ended, &["depth", "many"])?;
    claim_summary(&ended)
}

/// A report that cannot go to its file goes to stderr, in the form that was asked for. It may be told at the start already.
fn bad_file(bench: &Bench, file: &str) -> Result<()> {
    for (format, begins) in [("text", "SUMMARY: zaudit:"), ("json", "\"schema\": \"zaudit-report/1\"")] {
        let ended = jvm(bench)?.agent(&bench.library, format!("gc,format={format},file={file}")).run()?;
        unharmed(bench, &ended)?;
        claim_told(&ended, file, 1..=2)?;
        claim_report(&ended, begins)?;
    }
    Ok(())
}

/// Between so and so many lines, each of them naming the file.
fn claim_told(ended: &Ended, file: &str, lines: RangeInclusive<usize>) -> Result<()> {
    let messages = ended.messages();
    let told = lines.contains(&messages.len()) && messages.iter().all(|line| line.contains(file));
    ensure!(told, "{lines:?} `zaudit:` lines with {file:?} expected, got {messages:#?}\n{ended}");
    Ok(())
}

/// Root may write everywhere, so a place is tried where nobody may.
fn no_rights(bench: &Bench) -> Result<()> {
    bad_file(bench, "/proc/zaudit.json")
}

/// A demanded report whose file cannot be written: a line, the report on stderr, and the program runs on.
fn demanded(bench: &Bench) -> Result<()> {
    let fixture = bench.fixture("Garbage")?;
    let jvm = Jvm::new(bench.default_jdk(), fixture)?.agent(&bench.library, "gc,file=missing/r.txt");
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    running.signal("USR1")?;
    running.wait_for_stderr("SUMMARY: zaudit:")?;
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.printed() == "ready\ndone\n" && ended.code() == 0, ended.to_string());
    claim_told(&ended, "missing/r.", 2..=3)
}

fn strict_good(bench: &Bench) -> Result<()> {
    let ended = jvm(bench)?.agent(&bench.library, "strict,gc").run()?;
    unharmed(bench, &ended)?;
    ensure!(ended.messages().is_empty(), ended.to_string());
    claim_summary(&ended)
}

fn strict_bad(bench: &Bench, options: &str) -> Result<()> {
    let ended = jvm(bench)?.agent(&bench.library, options).run()?;
    let ran = ended.code() == 0 || ended.printed().contains("packed into");
    ensure!(!ran, "the JVM is not to start: {ended}");
    ensure!(!ended.messages().is_empty(), "a line expected: {ended}");
    ensure!(!ended.stderr().contains("internal error"), ended.to_string());
    Ok(())
}

fn help(bench: &Bench) -> Result<()> {
    let ended = jvm(bench)?.agent(&bench.library, "help").run()?;
    unharmed(bench, &ended)?;
    let stderr = ended.stderr();
    for option in ["file", "format", "signal", "gc", "depth", "strict", "help"] {
        let listed = stderr.lines().any(|line| line.trim_start().starts_with(option));
        ensure!(listed, "help does not list {option}: {ended}");
    }
    Ok(())
}

/// No options at all, with and without `=`, is fine.
fn no_options(bench: &Bench) -> Result<()> {
    let mut bare = OsString::from("-agentpath:");
    bare.push(&bench.library);
    for jvm in [jvm(bench)?.flags([&bare]), jvm(bench)?.agent(&bench.library, "")] {
        let ended = jvm.run()?;
        unharmed(bench, &ended)?;
        ensure!(ended.messages().is_empty(), ended.to_string());
        claim_summary(&ended)?;
    }
    Ok(())
}
