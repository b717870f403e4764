//! What the agent finds around it: descriptors, pipes and links that are not what they should be, another agent.
//!
//! Invariant: whatever the surroundings, the program ends by itself, with its own exit code, and its report is somewhere.

use libtest_mimic::Trial;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::neighbour;
use zaudit_tests::report::Trigger;
use zaudit_tests::suite::{self, Bench, cell, claim, claim_counts};

type Test = fn(&Bench, &Jdk) -> Result<()>;

const TESTS: [(&str, Test); 6] = [
    ("closed_streams", closed_streams),
    ("loader_that_prints_without_gc", loader_that_prints),
    ("other_agent_after", |bench, jdk| other_agent(bench, jdk, true)),
    ("other_agent_before", |bench, jdk| other_agent(bench, jdk, false)),
    ("pipe_that_nobody_reads", pipe_that_nobody_reads),
    ("link_to_stdout", link_to_stdout),
];

fn main() -> ExitCode {
    suite::main(|bench| {
        let mut trials: Vec<Trial> = bench.missing();
        for jdk in &bench.jdks {
            for (name, test) in TESTS {
                let (jdk, name) = (jdk.clone(), format!("jdk{}::{name}", jdk.major));
                trials.push(cell(bench, name, move |bench| test(bench, &jdk)));
            }
        }
        trials.push(cell(bench, "stderr_that_nobody_reads", stderr_that_nobody_reads));
        trials
    })
}

/// A pipe with a name.
fn pipe(path: &Path) -> Result<()> {
    run(Command::new("mkfifo").arg(path))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    claim(output.status.success(), || format!("{command:?}: {output:?}"))
}

/// The counts of `NeverEnded` in the report in `file`.
fn claim_never_ended(bench: &Bench, jdk: &Jdk, ended: &Ended, file: &str) -> Result<()> {
    let fixture = bench.fixture("NeverEnded")?;
    claim_counts(fixture, &fixture.expected(jdk.major, false), &ended.report_in(file)?)
}

fn never_ended(bench: &Bench, jdk: &Jdk, options: &str) -> Result<Jvm> {
    Ok(Jvm::new(jdk, bench.fixture("NeverEnded")?)?.agent(&bench.library, options))
}

/// Opened for writing, such a pipe waits for a reader, and for ever if none comes.
fn pipe_that_nobody_reads(bench: &Bench, jdk: &Jdk) -> Result<()> {
    let bare = Jvm::new(jdk, bench.fixture("NeverEnded")?)?.run()?;
    let jvm = never_ended(bench, jdk, "gc,file=pipe")?;
    pipe(&jvm.dir().join("pipe"))?;
    let ended = jvm.run()?;
    claim(ended.printed() == bare.printed() && ended.code() == bare.code(), || ended.to_string())?;
    let messages = ended.messages();
    let told = messages.len() == 1 && messages[0].contains("pipe");
    claim(told, || format!("one line about the pipe expected: {ended}"))?;
    claim(ended.stderr().contains("SUMMARY: zaudit: LEAK"), || format!("no report: {ended}"))
}

/// Such a link stands for an open file: what the program wrote there stays, and so does the link.
fn link_to_stdout(bench: &Bench, jdk: &Jdk) -> Result<()> {
    let bare = Jvm::new(jdk, bench.fixture("NeverEnded")?)?.run()?;
    let jvm = never_ended(bench, jdk, "gc,file=link,format=json")?.after("exec >out.txt");
    let link = jvm.dir().join("link");
    symlink("/proc/self/fd/1", &link).map_err(|error| error.to_string())?;
    let ended = jvm.run()?;
    claim(ended.code() == bare.code() && ended.stderr().is_empty(), || ended.to_string())?;
    claim(fs::read_link(&link).is_ok_and(|target| target == Path::new("/proc/self/fd/1")), || {
        format!("the link is no link to stdout any more: {ended}")
    })?;
    let out = ended.dir().join("out.txt");
    let text = fs::read_to_string(&out).map_err(|error| error.to_string())?;
    let report = text.strip_prefix(&bare.printed());
    let report = report.ok_or_else(|| format!("the program's own output is not there: {text}"))?;
    fs::write(&out, report).map_err(|error| error.to_string())?;
    claim_never_ended(bench, jdk, &ended, "out.txt")
}

/// A parent that waits for its child's end before it reads what that said: a pipe holds 64 KiB.
fn stderr_that_nobody_reads(bench: &Bench) -> Result<()> {
    let jvm = || Jvm::new(bench.default_jdk(), bench.fixture("ManySites")?);
    let read = jvm()?.audited(&bench.library, "").run()?;
    let size = fs::metadata(read.dir().join("r.json")).map_err(|error| error.to_string())?.len();
    claim(size > 1 << 18, || format!("a report of {size} bytes fits into a pipe: {read}"))?;
    // The shell opens the pipe for reading, too, and never reads.
    let unread = jvm()?.agent(&bench.library, "format=json").after("exec 3<>unread 2>unread");
    pipe(&unread.dir().join("unread"))?;
    let ended = unread.run()?;
    claim(ended.code() == 0 && ended.printed() == read.printed(), || ended.to_string())
}

/// Started without stdin, stdout and stderr, a process gets their numbers for the files that it opens first. The agent's own
/// pipe must not be among them: whoever prints would ring it.
fn closed_streams(bench: &Bench, jdk: &Jdk) -> Result<()> {
    let fixture = bench.fixture("WithoutStreams")?;
    let jvm = Jvm::new(jdk, fixture)?.args(&["ready", "go"]).audited(&bench.library, "gc");
    let go = jvm.dir().join("go");
    pipe(&go)?;
    let mut running = jvm.after("exec 0<&- 1>&- 2>&-").spawn()?;
    running.wait_for_file("ready")?;
    let expected = fixture.expected(jdk.major, false);
    // One report for one signal: the second is the one that was asked for in another way.
    for (signal, report, trigger) in
        [("USR1", "r.1.json", Trigger::Signal), ("QUIT", "r.2.json", Trigger::DataDump)]
    {
        running.signal(signal)?;
        let report = running.wait_for_report(report)?;
        claim(report.process.trigger == trigger, || format!("trigger is {:?}", report.process.trigger))?;
        claim_counts(fixture, &expected, &report)?;
    }
    fs::write(&go, "").map_err(|error| error.to_string())?;
    let ended = running.finish()?;
    claim(ended.code() == 0, || ended.to_string())?;
    claim(!ended.dir().join("r.3.json").exists(), || "two were asked for, and there is a third".into())?;
    claim_counts(fixture, &expected, &ended.report()?)
}

/// No Java code runs on account of the agent that the program could see: with `gc` this is a cell of the matrix.
fn loader_that_prints(bench: &Bench, jdk: &Jdk) -> Result<()> {
    let fixture = bench.fixture("SystemLoader")?;
    let bare = Jvm::new(jdk, fixture)?.run()?;
    claim(bare.printed().contains("SystemLoader on main"), || format!("the loader prints nothing: {bare}"))?;
    let ended = Jvm::new(jdk, fixture)?.audited(&bench.library, "").run()?;
    claim(ended.printed() == bare.printed() && ended.code() == 0, || format!("{bare}\n{ended}"))?;
    claim_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}

/// Whenever an agent has a class transformed, the JVM asks all agents, and begins with the original bytes.
fn other_agent(bench: &Bench, jdk: &Jdk, after: bool) -> Result<()> {
    let fixture = bench.fixture("SiteVariety")?;
    let jvm = Jvm::new(jdk, fixture)?.flags(["-Xcheck:jni"]);
    let mut flag = std::ffi::OsString::from("-javaagent:");
    flag.push(neighbour::jar(bench, jvm.dir())?);
    let jvm = match after {
        true => jvm.audited(&bench.library, "gc").flags([flag]),
        false => jvm.flags([flag]).audited(&bench.library, "gc"),
    };
    let ended = jvm.run()?;
    claim(ended.printed() == "transformed\ndone\n" && ended.code() == 0, || ended.to_string())?;
    claim(ended.messages().is_empty(), || ended.to_string())?;
    claim_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}
