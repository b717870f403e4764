//! Each format in the hands of the real programs that it was made for, of real JVMs and of names
//! that no program should have.
//!
//! Profiles are [`profiles`]', one line a stack is [`stacks`]', metrics and alerts [`metrics`]',
//! Markdown [`markdown`]'.
//! Getting the programs is `scripts/readers`' work. Invariant: what a program makes of a file is
//! compared with the JSON report of the same snapshot, never with the renderer's own words.

mod cost;
mod markdown;
mod metrics;
mod profiles;
mod stacks;

use libtest_mimic::Trial;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use zaudit_core::analysis::footprint::Footprint;
use zaudit_core::analysis::rules::Rule;
use zaudit_core::model::{Frame, Kind, Nanos, Stack, ThreadId};
use zaudit_core::options::Format;
use zaudit_core::report::{Process, Report, Style};
use zaudit_core::testing::Recording;
use zaudit_tests::Result;
use zaudit_tests::child::{Ended, Folder};
use zaudit_tests::command::Said;
use zaudit_tests::ensure;
use zaudit_tests::external_tools::ExternalTools;
use zaudit_tests::formats;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::{self, TestEnv, case};

type Test = fn(&Kit) -> Result<()>;

/// A test, and the programs that it needs.
const TESTS: [(&str, &[&str], Test); 15] = [
    ("pprof::sums_are_the_report_s", &["go"], profiles::sums_are_the_report_s),
    ("pprof::several_jvms_add_up", &["go"], profiles::several_jvms_add_up),
    ("pprof::nothing_is_left_of_a_difference", &["go"], profiles::nothing_is_left_of_a_difference),
    ("pprof::picture", &["go", "dot"], profiles::picture),
    ("pprof::hostile_names", &["go", "dot"], profiles::hostile_names),
    ("pprof::speedscope", &["speedscope"], profiles::speedscope_agrees),
    ("collapsed::pictures", &["flamegraph.pl", "inferno-flamegraph"], stacks::pictures),
    (
        "collapsed::hostile_names",
        &["flamegraph.pl", "inferno-flamegraph", "speedscope"],
        stacks::hostile_names,
    ),
    ("prom::check", &["promtool"], metrics::check),
    ("prom::scraped", &["prometheus", "node_exporter"], metrics::scraped),
    ("prom::alerts", &["promtool"], metrics::alerts),
    ("markdown::table", &["cmark-gfm"], markdown::table),
    ("markdown::clean", &["cmark-gfm"], markdown::clean),
    ("markdown::hostile_names", &["cmark-gfm"], markdown::hostile_names),
    ("one_snapshot_many_files", &[], one_snapshot_many_files),
];

fn main() -> ExitCode {
    // No test: `scripts/bench --formats` asks for it.
    if std::env::args().any(|argument| argument == "--cost") {
        return cost::print();
    }
    suite::main_with(|env| {
        let kit = Kit { env: env.clone(), tools: ExternalTools::ready()? };
        Ok(TESTS.into_iter().map(|(name, needed, test)| trial(&kit, name, needed, test)).collect())
    })
}

fn trial(kit: &Kit, name: &str, needed: &[&str], test: Test) -> Trial {
    if !kit.tools.have(needed) {
        return suite::ignored(name, &format!("needs {}", needed.join(", ")));
    }
    let kit = kit.clone();
    case(&kit.env.clone(), name, move |_| test(&kit))
}

/// What a test works with.
#[derive(Clone)]
pub struct Kit {
    env: TestEnv,
    tools: ExternalTools,
}

/// The files of one run, all of one snapshot.
struct Run {
    ended: Ended,
}

impl Run {
    fn path(&self, extension: &str) -> PathBuf {
        self.ended.dir().join("r").with_extension(extension)
    }

    fn text(&self, extension: &str) -> Result<String> {
        read(&self.path(extension))
    }

    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text("json")?).map_err(|error| error.to_string())
    }

    /// Σ over the sites of what `pick` sees in each.
    fn sum(&self, pick: impl Fn(&Value) -> f64) -> Result<f64> {
        let json = self.json()?;
        let sites = json["sites"].as_array().ok_or("no sites")?;
        ensure!(!sites.is_empty(), "no site");
        Ok(sites.iter().map(pick).sum())
    }
}

fn number(site: &Value, field: &str) -> f64 {
    site[field].as_f64().unwrap_or(f64::NAN)
}

/// Late and collected ones; no rule covers any in these programs.
fn leaked(site: &Value) -> f64 {
    number(site, "late") + number(site, "collected")
}

/// Native bytes of one, from the report's totals.
fn bytes_each(report: &Value, kind: &str) -> f64 {
    number(&report["totals"][kind], "bytes_each")
}

impl Kit {
    /// Runs a program under the agent, with a report in each format.
    fn run(&self, program: &str) -> Result<Run> {
        let jvm = Jvm::new(self.env.default_jdk(), self.env.fixture(program)?)?;
        let options = format!("gc,{}", formats::files_in(jvm.dir()));
        let ended = jvm.agent(&self.env.library, options).run()?;
        ensure!(ended.code() == 0, ended.to_string());
        Ok(Run { ended })
    }
}

fn one_snapshot_many_files(kit: &Kit) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let run = kit.run("GzipForgotten")?;
    for format in Format::ALL {
        let path = run.ended.dir().join(formats::file(format));
        let found = fs::metadata(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?
            .permissions()
            .mode();
        ensure!(found & 0o777 == expected_mode(format), "{}: {found:o}", path.display());
    }
    Ok(())
}

/// The mode of a file in this format, as docs/formats.md has it.
fn expected_mode(format: Format) -> u32 {
    match format {
        Format::Prom => 0o644,
        Format::Text
        | Format::Html
        | Format::Json
        | Format::Pprof
        | Format::Collapsed
        | Format::Markdown => 0o600,
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What a program prints of what is given to it.
fn filtered(command: &mut Command, input: &[u8]) -> Result<Said> {
    let failed = |error: std::io::Error| error.to_string();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().map_err(failed)?;
    writer.join().map_err(|_| "the writer panicked")?.map_err(failed)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    })
}

/// What speedscope makes of files.
fn speedscope(kit: &Kit, files: &[&Path]) -> Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/speedscope.cjs");
    let mut command = Command::new("node");
    let said =
        Said::of(command.arg(script).arg(kit.tools.path("speedscope")?).args(files))?.done()?;
    serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))
}

/// A report without a JVM, of what `fill` does in a session.
fn made(fill: impl FnOnce(&Recording)) -> Report {
    let session = Recording::default();
    fill(&session);
    report(&session)
}

/// The report of a session.
fn report(session: &Recording) -> Report {
    let taken = Nanos(60_000_000_000);
    let started = UNIX_EPOCH + Duration::from_secs(1_795_440_393);
    let process = Process {
        pid: 4711,
        jvm: "OpenJDK 64-Bit Server VM 17".into(),
        command: "org.acme.Main --serve".into(),
        started,
        taken: started + Duration::from_secs(60),
        ..Process::default()
    };
    Report::new(
        process,
        Footprint::default(),
        &session.snapshot(taken, Duration::ZERO).expect("there is memory"),
        Rule::built_in(),
        Arc::default(),
    )
    .expect("there is memory")
}

/// Names that try to break out of every format: the innermost frame, the blame frame, its caller,
/// the subclass and the thread.
fn hostile() -> Report {
    let names = [
        "a\"},\\\u{0}\u{1b}[31m</script>\u{1F600};\n3 4".to_owned(),
        format!("<script>alert('x')</script>{} 7", "x".repeat(10_000)),
        "\u{202e}%s%n`$(touch x)`&amp;]]>".to_owned(),
    ];
    let mut report = made(|session| {
        let frame = |name: &String| Frame {
            file: Some(name.clone()),
            line: Some(1),
            ..Frame::named(name, name)
        };
        let stack = Stack {
            frames: names.iter().map(frame).collect(),
            truncated: false,
            subclass: Some(names[0].clone()),
        };
        let site = session.learn(Kind::Inflater, stack).expect("there is memory");
        names.iter().for_each(|name| session.name_thread(site, name.clone()));
        let id = session.id();
        session.record_created(id, site, ThreadId(1), Nanos(0)).expect("there is memory");
        session.record_freed(id, Nanos(1_000_000_000));
    });
    report.process.command = format!("a\"\\b.jar\\ -D{}", names[0]);
    report.process.jvm.clone_from(&names[2]);
    report
}

fn rendered(report: &Report, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    report.render(format, Style::default(), &mut bytes).expect("a list takes everything");
    bytes
}

/// A new folder, and in it a file with the report.
fn written(report: &Report, format: Format, name: &str) -> Result<(Folder, PathBuf)> {
    let folder = Folder::fresh()?;
    let path = folder.0.join(name);
    fs::write(&path, rendered(report, format)).map_err(|error| error.to_string())?;
    Ok((folder, path))
}
