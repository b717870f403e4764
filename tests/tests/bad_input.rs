//! Options that make no sense and files that cannot be written: one clear line, and the program
//! does not notice.
//!
//! Invariant: a bad option never keeps the JVM from starting unless `strict` asks for it, and a
//! report is never lost: what cannot go to its file goes to stderr.

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
use zaudit_tests::suite::{self, TestEnv, case};

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
    ("signal_that_cannot_be_caught", "gc,signal=SIGKILL", &["signal", "SIGKILL"]),
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
    suite::main(|env| {
        let mut trials: Vec<Trial> = Vec::new();
        for (name, options, named) in OPTIONS {
            trials.push(case(env, format!("option::{name}"), move |env| {
                bad_option(env, options, named)
            }));
        }
        for (name, file) in FILES {
            trials.push(case(env, format!("file::{name}"), move |env| bad_file(env, file)));
        }
        trials.push(case(env, "option::not_utf8", not_utf8));
        trials.push(case(env, "option::two_bad_ones", two_bad_ones));
        trials.push(case(env, "option::in_the_environment", in_the_environment));
        trials.push(case(env, "option::in_a_file", in_a_file));
        trials.push(case(env, "file::demanded", demanded));
        trials.push(case(env, "file::no_rights", no_rights));
        trials.push(case(env, "strict::good", strict_good));
        trials.push(case(env, "strict::bad_after", |env| strict_bad(env, "strict,bogus=1")));
        trials.push(case(env, "strict::bad_before", |env| strict_bad(env, "bogus=1,strict")));
        trials.push(case(env, "strict::bad_value", |env| strict_bad(env, "strict,depth=many")));
        trials.push(case(env, "strict::bad_signal", |env| strict_bad(env, "strict,signal=SIGFOO")));
        trials.push(case(env, "help::table", help));
        trials.push(case(env, "help::no_options", no_options));
        trials
    })
}

fn jvm(env: &TestEnv) -> Result<Jvm> {
    let jvm = Jvm::new(env.default_jdk(), env.fixture("NeverEnded")?)?.flags(["-Xcheck:jni"]);
    fs::create_dir(jvm.dir().join("folder")).map_err(|error| error.to_string())?;
    fs::write(jvm.dir().join("plain"), "").map_err(|error| error.to_string())?;
    Ok(jvm)
}

/// The program ran as it does bare.
fn unharmed(env: &TestEnv, ended: &Ended) -> Result<()> {
    let bare = jvm(env)?.run()?;
    ensure!(ended.printed() == bare.printed() && ended.code() == bare.code(), "{bare}\n{ended}");
    Ok(())
}

/// The one line of the agent, with all of `named` in it.
fn ensure_one_line(ended: &Ended, named: &[&str]) -> Result<()> {
    let messages = ended.messages();
    let right = messages.len() == 1 && named.iter().all(|name| messages[0].contains(name));
    ensure!(right, "one `zaudit:` line with {named:?} expected, got {messages:#?}\n{ended}");
    Ok(())
}

/// The text report is on stderr, and it found the leak.
fn ensure_summary(ended: &Ended) -> Result<()> {
    ensure_report(ended, "SUMMARY: zaudit:")
}

/// A report with this in it is on stderr, once, and it found the leak.
fn ensure_report(ended: &Ended, begins: &str) -> Result<()> {
    let stderr = ended.stderr();
    ensure!(stderr.matches(begins).count() == 1, "no report: {ended}");
    ensure!(stderr.contains("NeverEnded"), "no word about the leak: {ended}");
    Ok(())
}

fn bad_option(env: &TestEnv, options: &str, named: &[&str]) -> Result<()> {
    let ended = jvm(env)?.agent(&env.library, options).run()?;
    unharmed(env, &ended)?;
    ensure_one_line(&ended, named)?;
    ensure_summary(&ended)
}

fn not_utf8(env: &TestEnv) -> Result<()> {
    let options = OsString::from_vec(b"gc,dep\xffth=64".to_vec());
    ensure!(options.as_bytes().contains(&0xff), "not UTF-8 is meant");
    let ended = jvm(env)?.agent(&env.library, options).run()?;
    unharmed(env, &ended)?;
    ensure_one_line(&ended, &["th=64"])?;
    ensure_summary(&ended)
}

fn two_bad_ones(env: &TestEnv) -> Result<()> {
    let ended = jvm(env)?.agent(&env.library, "colour,gc,depth=many").run()?;
    unharmed(env, &ended)?;
    let messages = ended.messages();
    ensure!(messages.len() == 2, "a line each expected: {messages:#?}");
    ensure_summary(&ended)
}

fn in_the_environment(env: &TestEnv) -> Result<()> {
    let ended = jvm(env)?.env("ZAUDIT_OPTIONS", "colour").agent(&env.library, "gc").run()?;
    unharmed(env, &ended)?;
    ensure_one_line(&ended, &["colour"])?;
    ensure_summary(&ended)
}

fn in_a_file(env: &TestEnv) -> Result<()> {
    let jvm = jvm(env)?;
    fs::write(jvm.dir().join("some.options"), "gc\ndepth=many\n")
        .map_err(|error| error.to_string())?;
    let ended = jvm.agent(&env.library, "@some.options").run()?;
    unharmed(env, &ended)?;
    ensure_one_line(&ended, &["depth", "many"])?;
    ensure_summary(&ended)
}

/// A report that cannot go to its file goes to stderr, in the requested format. The agent may
/// complain at the start already.
fn bad_file(env: &TestEnv, file: &str) -> Result<()> {
    for (format, begins) in
        [("text", "SUMMARY: zaudit:"), ("json", "\"schema\": \"zaudit-report/1\"")]
    {
        let ended =
            jvm(env)?.agent(&env.library, format!("gc,format={format},file={file}")).run()?;
        unharmed(env, &ended)?;
        ensure_lines(&ended, file, 1..=2)?;
        ensure_report(&ended, begins)?;
    }
    Ok(())
}

/// Ensures the number of lines, and that each of them names the file.
fn ensure_lines(ended: &Ended, file: &str, lines: RangeInclusive<usize>) -> Result<()> {
    let messages = ended.messages();
    let right = lines.contains(&messages.len()) && messages.iter().all(|line| line.contains(file));
    ensure!(right, "{lines:?} `zaudit:` lines with {file:?} expected, got {messages:#?}\n{ended}");
    Ok(())
}

/// Root may write everywhere, so the test takes a place where no user may.
fn no_rights(env: &TestEnv) -> Result<()> {
    bad_file(env, "/proc/zaudit.json")
}

/// A demanded report whose file cannot be written: a line, the report on stderr, and the program
/// runs on.
fn demanded(env: &TestEnv) -> Result<()> {
    let fixture = env.fixture("Garbage")?;
    let jvm = Jvm::new(env.default_jdk(), fixture)?.agent(&env.library, "gc,file=missing/r.txt");
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    running.signal("USR1")?;
    running.wait_for_stderr("SUMMARY: zaudit:")?;
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.printed() == "ready\ndone\n" && ended.code() == 0, ended.to_string());
    ensure_lines(&ended, "missing/r.", 2..=3)
}

fn strict_good(env: &TestEnv) -> Result<()> {
    let ended = jvm(env)?.agent(&env.library, "strict,gc").run()?;
    unharmed(env, &ended)?;
    ensure!(ended.messages().is_empty(), ended.to_string());
    ensure_summary(&ended)
}

fn strict_bad(env: &TestEnv, options: &str) -> Result<()> {
    let ended = jvm(env)?.agent(&env.library, options).run()?;
    let ran = ended.code() == 0 || ended.printed().contains("packed into");
    ensure!(!ran, "the JVM is not to start: {ended}");
    ensure!(!ended.messages().is_empty(), "a line expected: {ended}");
    ensure!(!ended.stderr().contains("internal error"), ended.to_string());
    Ok(())
}

fn help(env: &TestEnv) -> Result<()> {
    let ended = jvm(env)?.agent(&env.library, "help").run()?;
    unharmed(env, &ended)?;
    let stderr = ended.stderr();
    for option in ["file", "format", "signal", "gc", "depth", "strict", "help"] {
        let listed = stderr.lines().any(|line| line.trim_start().starts_with(option));
        ensure!(listed, "help does not list {option}: {ended}");
    }
    Ok(())
}

/// No options at all, with and without `=`, is fine.
fn no_options(env: &TestEnv) -> Result<()> {
    let mut bare = OsString::from("-agentpath:");
    bare.push(&env.library);
    for jvm in [jvm(env)?.flags([&bare]), jvm(env)?.agent(&env.library, "")] {
        let ended = jvm.run()?;
        unharmed(env, &ended)?;
        ensure!(ended.messages().is_empty(), ended.to_string());
        ensure_summary(&ended)?;
    }
    Ok(())
}
