//! What the agent finds around it: descriptors, pipes and links that are not what they should be,
//! another agent.
//!
//! Invariant: whatever the surroundings, the program ends by itself, with its own exit code, and
//! its report is somewhere.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::other_agent;
use zaudit_tests::report::Trigger;
use zaudit_tests::suite::{self, Need, TestEnv, case, ensure_counts, per_jdk, per_jdk_needing};

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

const TESTS: [(&str, Test); 8] = [
    ("closed_streams", closed_streams),
    ("loader_that_prints_without_gc", loader_that_prints),
    ("other_agent_after", |env, jdk| other_agent(env, jdk, true)),
    ("other_agent_before", |env, jdk| other_agent(env, jdk, false)),
    ("pipe_that_has_no_reader", pipe_that_has_no_reader),
    ("pipe_that_is_never_read", pipe_that_is_never_read),
    ("pipe_that_is_read", pipe_that_is_read),
    ("link_to_stdout", link_to_stdout),
];

/// What only root can set up.
const AS_ROOT: [(&str, [Need; 1], Test); 2] = [
    ("pipe_of_another_user", [Need::Root], pipe_of_another_user),
    ("link_of_another_user", [Need::Root], link_of_another_user),
];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials = env.missing();
        trials.extend(suite::table(env, per_jdk(env, TESTS))?);
        trials.extend(suite::table(env, per_jdk_needing(env, AS_ROOT))?);
        trials.push(case(env, "stderr_that_is_never_read", stderr_that_is_never_read));
        Ok(trials)
    })
}

/// A pipe with a name.
fn pipe(path: &Path) -> Result<()> {
    run(Command::new("mkfifo").arg(path))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    ensure!(output.status.success(), "{command:?}: {output:?}");
    Ok(())
}

/// The counts of `NeverEnded` in the report in `file`.
fn ensure_never_ended(env: &TestEnv, jdk: &Jdk, ended: &Ended, file: &str) -> Result<()> {
    let fixture = env.fixture("NeverEnded")?;
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report_in(file)?)
}

fn never_ended(env: &TestEnv, jdk: &Jdk, options: &str) -> Result<Jvm> {
    Ok(Jvm::new(jdk, env.fixture("NeverEnded")?)?.agent(&env.library, options))
}

/// Opened for writing, such a pipe waits for a reader, and for ever if none comes.
fn pipe_that_has_no_reader(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let bare = Jvm::new(jdk, env.fixture("NeverEnded")?)?.run()?;
    let jvm = never_ended(env, jdk, "gc,file=pipe")?;
    pipe(&jvm.dir().join("pipe"))?;
    let ended = jvm.run()?;
    ensure!(ended.printed() == bare.printed() && ended.code() == bare.code(), ended.to_string());
    let messages = ended.messages();
    let right = messages.len() == 1 && messages[0].contains("pipe");
    ensure!(right, "one line about the pipe expected: {ended}");
    ensure!(ended.stderr().contains("SUMMARY: zaudit: LEAK"), "no report: {ended}");
    Ok(())
}

/// How much longer than without an agent a JVM may take at most. The agent's own bound is 2 s; it
/// was 10 s for each pipe and 5 s for standard error. This asserts that there is a bound, on a
/// machine that may be busy; it measures nothing.
const DELAY: Duration = Duration::from_secs(5);

fn timed(jvm: Jvm) -> Result<(Ended, Duration)> {
    let begun = Instant::now();
    Ok((jvm.run()?, begun.elapsed()))
}

/// Three pipes that are open and never read, one of them standard error: together they delay the
/// end only shortly.
fn pipe_that_is_never_read(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = || Jvm::new(jdk, env.fixture("ManySites")?);
    let (bare, quick) = timed(jvm()?)?;
    // The shell opens each pipe for reading, too, and never reads.
    for (options, redirection, heard) in [
        ("file=one,format=json", "exec 3<>one", true),
        ("file=one,file=two,format=json", "exec 3<>one 4<>two 5<>three 2>three", false),
    ] {
        let jvm = jvm()?.agent(&env.library, options).after(redirection);
        ["one", "two", "three"].iter().try_for_each(|name| pipe(&jvm.dir().join(name)))?;
        let (ended, slow) = timed(jvm)?;
        ensure!(ended.code() == 0 && ended.printed() == bare.printed(), ended.to_string());
        ensure!(slow < quick + DELAY, "{quick:?} without an agent, {slow:?} with {options}");
        // What the pipe did not take came on standard error.
        let messages = ended.messages();
        let said = messages.len() == 1
            && messages[0].contains("the reader of the pipe does not read the report");
        ensure!(!heard || said && ended.stderr().contains("\"schema\""), ended.to_string());
    }
    Ok(())
}

fn pipe_that_is_read(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    // The JVM inherits both ends, so that no end is ever missing; the reader ends when the JVM has.
    let jvm = never_ended(env, jdk, "gc,file=pipe,format=json")?;
    pipe(&jvm.dir().join("pipe"))?;
    let ended = jvm.after("exec 3<>pipe; cat <pipe 3>&- >r.json & true").run()?;
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
    let deadline = Instant::now() + Duration::from_secs(60);
    while ended.report().is_err() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    ensure_never_ended(env, jdk, &ended, "r.json")
}

/// Gives a file, or a link itself, to a user that does not exist.
fn give_away(path: &Path) -> Result<()> {
    lchown(path, Some(65_533), Some(65_533)).map_err(|error| format!("{}: {error}", path.display()))
}

/// Somebody who may write to the folder puts a pipe in the report's place and reads it: he gets
/// nothing.
fn pipe_of_another_user(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = never_ended(env, jdk, "gc,file=pipe")?;
    let planted = jvm.dir().join("pipe");
    pipe(&planted)?;
    give_away(&planted)?;
    let ended = jvm.after("exec 3<>pipe; cat <pipe 3>&- >stolen & true").run()?;
    let messages = ended.messages();
    let said = messages.len() == 2
        && messages.iter().all(|line| line.contains("named pipe of another user"));
    ensure!(said, "refused at the start and at the end: {ended}");
    ensure!(ended.stderr().contains("SUMMARY: zaudit: LEAK"), "no report: {ended}");
    let stolen =
        fs::read_to_string(ended.dir().join("stolen")).map_err(|error| error.to_string())?;
    ensure!(stolen.is_empty() && ended.code() == 0, "another user has read: {stolen}");
    Ok(())
}

/// Somebody who may write to the folder puts a link to the program's own output in the report's
/// place.
fn link_of_another_user(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let bare = Jvm::new(jdk, env.fixture("NeverEnded")?)?.run()?;
    let jvm = never_ended(env, jdk, "gc,file=r.json")?;
    let link = jvm.dir().join("r.json");
    symlink("/proc/self/fd/1", &link).map_err(|error| error.to_string())?;
    give_away(&link)?;
    let ended = jvm.run()?;
    ensure!(ended.printed() == bare.printed() && ended.stderr().is_empty(), ended.to_string());
    ensure_never_ended(env, jdk, &ended, "r.json")
}

/// Such a link stands for an open file: what the program wrote there stays, and so does the link.
fn link_to_stdout(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let bare = Jvm::new(jdk, env.fixture("NeverEnded")?)?.run()?;
    let jvm = never_ended(env, jdk, "gc,file=link,format=json")?.after("exec >out.txt");
    let link = jvm.dir().join("link");
    symlink("/proc/self/fd/1", &link).map_err(|error| error.to_string())?;
    let ended = jvm.run()?;
    ensure!(ended.code() == bare.code() && ended.stderr().is_empty(), ended.to_string());
    ensure!(fs::read_link(&link).is_ok_and(|target| target == Path::new("/proc/self/fd/1")), {
        format!("the link is no link to stdout any more: {ended}")
    });
    let out = ended.dir().join("out.txt");
    let text = fs::read_to_string(&out).map_err(|error| error.to_string())?;
    let report = text.strip_prefix(&bare.printed());
    let report = report.ok_or_else(|| format!("the program's own output is not there: {text}"))?;
    fs::write(&out, report).map_err(|error| error.to_string())?;
    ensure_never_ended(env, jdk, &ended, "out.txt")
}

/// A parent that waits for its child's end before it reads what that said: a pipe holds 64 KiB.
fn stderr_that_is_never_read(env: &TestEnv) -> Result<()> {
    let jvm = || Jvm::new(env.default_jdk(), env.fixture("ManySites")?);
    let read = jvm()?.audited(&env.library, "").run()?;
    let size = fs::metadata(read.dir().join("r.json")).map_err(|error| error.to_string())?.len();
    ensure!(size > 1 << 18, "a report of {size} bytes fits into a pipe: {read}");
    // The shell opens the pipe for reading, too, and never reads.
    let unread = jvm()?.agent(&env.library, "format=json").after("exec 3<>unread 2>unread");
    pipe(&unread.dir().join("unread"))?;
    let ended = unread.run()?;
    ensure!(ended.code() == 0 && ended.printed() == read.printed(), ended.to_string());
    Ok(())
}

/// Started without stdin, stdout and stderr, a process gets their numbers for the files that it
/// opens first. The agent's own pipe must not be among them: what the program prints would wake
/// the agent.
fn closed_streams(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("WithoutStreams")?;
    let jvm = Jvm::new(jdk, fixture)?.args(&["ready", "go"]).audited(&env.library, "gc");
    let go = jvm.dir().join("go");
    pipe(&go)?;
    let mut running = jvm.after("exec 0<&- 1>&- 2>&-").spawn()?;
    running.wait_for_file("ready")?;
    let expected = fixture.expected(jdk.major, false);
    // One report for one signal: the second report is that of the other trigger.
    for (signal, report, trigger) in
        [("USR1", "r.1.json", Trigger::Signal), ("QUIT", "r.2.json", Trigger::DataDump)]
    {
        running.signal(signal)?;
        let report = running.wait_for_report(report)?;
        ensure!(report.process.trigger == trigger, "trigger is {:?}", report.process.trigger);
        ensure_counts(fixture, &expected, &report)?;
    }
    fs::write(&go, "").map_err(|error| error.to_string())?;
    let ended = running.finish()?;
    ensure!(ended.code() == 0, ended.to_string());
    ensure!(!ended.dir().join("r.3.json").exists(), "two were requested, and there is a third");
    ensure_counts(fixture, &expected, &ended.report()?)
}

/// No Java code runs on account of the agent that the program could see: with `gc` this is a case
/// of the matrix.
fn loader_that_prints(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("SystemLoader")?;
    let bare = Jvm::new(jdk, fixture)?.run()?;
    ensure!(bare.printed().contains("SystemLoader on main"), "the loader prints nothing: {bare}");
    let ended = Jvm::new(jdk, fixture)?.audited(&env.library, "").run()?;
    ensure!(ended.printed() == bare.printed() && ended.code() == 0, "{bare}\n{ended}");
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}

/// Whenever an agent has a class transformed, the JVM asks all agents, and begins with the original
/// bytes.
fn other_agent(env: &TestEnv, jdk: &Jdk, after: bool) -> Result<()> {
    let fixture = env.fixture("SiteVariety")?;
    let jvm = Jvm::new(jdk, fixture)?.flags(["-Xcheck:jni"]);
    let mut flag = std::ffi::OsString::from("-javaagent:");
    flag.push(other_agent::jar(env, jvm.dir())?);
    let jvm = match after {
        true => jvm.audited(&env.library, "gc").flags([flag]),
        false => jvm.flags([flag]).audited(&env.library, "gc"),
    };
    let ended = jvm.run()?;
    ensure!(ended.printed() == "transformed\ndone\n" && ended.code() == 0, ended.to_string());
    ensure!(ended.messages().is_empty(), ended.to_string());
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}
