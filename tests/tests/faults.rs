//! The agent on a build in which every call of the JVM and of the operating system fails now and
//! then (`ZAUDIT_FAULT=calls:…`), and in which each such call may panic instead.
//!
//! `ZAUDIT_ROUNDS` says how many seeds there are, `ZAUDIT_FAULT_SEED` which is the first.
//! Invariant: the program goes on with its own output and exit code, and what its report lacks is
//! said.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use zaudit_tests::Result;
use zaudit_tests::agent;
use zaudit_tests::child::{Ended, Running};
use zaudit_tests::command::{Said, Zaudit};
use zaudit_tests::ensure;
use zaudit_tests::fixtures::Fixture;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::once::{Once, Outcome};
use zaudit_tests::report::{Counts, Kind, Report, Trigger};
use zaudit_tests::suite::{self, Need, TestEnv, case, case_needing, ensure_counts, on_jdk};

/// Of the calls of a run.
const PROBABILITIES: [&str; 4] = ["0.0001", "0.001", "0.01", "0.1"];

const JDKS: [u32; 4] = [8, 17, 25, 28];

/// Programs that count for themselves, in the comment at their top.
const PROGRAMS: [&str; 12] = [
    "NeverEnded",
    "Ended",
    "EndedTwice",
    "EndedByFinalizer",
    "ManyThreads",
    "ErrorPath",
    "AnonymousSubclass",
    "OverriddenEndForgotten",
    "UncaughtException",
    "EntryStreamsForgotten",
    "ZipfsStreamsForgotten",
    "ExitWhileCreating",
];

const OPTIONS: [&str; 5] = ["gc", "gc", "gc,hooks=tag", "gc,gc_roots=5", "gc,interval=100ms"];

const KINDS: [&str; 5] = ["jvmti", "jni", "os", "jvmti+jni+os", "jvmti+jni+os+panic"];

type Test = fn(&Kit, &TestEnv, &Jdk) -> Result<()>;

/// The cases, and the releases of the JDK that they run on. The longest is the first.
const CASES: [(&str, &[u32], Test); 6] = [
    ("every_call", &[25], every_call),
    ("recovers", &[25], |kit, env, jdk| recovers(kit, env, jdk, &[])),
    ("recovers_by_tag", &[25], |kit, env, jdk| recovers(kit, env, jdk, &["hooks=tag"])),
    ("cycles", &[8, 25], cycles),
    ("alone", &JDKS, alone),
    ("found", &JDKS, |_, env, jdk| found(env, jdk)),
];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let kit = Kit { zaudit: Zaudit::ready(env)?.with_library(agent::faulty_library()?) };
        let mut trials = env.missing();
        for (name, majors, test) in CASES {
            for jdk in env.jdks.iter().filter(|jdk| majors.contains(&jdk.major)) {
                let kit = kit.clone();
                let test = move |env: &TestEnv, jdk: &Jdk| test(&kit, env, jdk);
                trials.push(on_jdk(env, jdk, name, &[], test));
            }
        }
        for jdk in env.jdks.iter().filter(|jdk| JDKS.contains(&jdk.major)) {
            for probability in PROBABILITIES {
                let test = move |env: &TestEnv, jdk: &Jdk| random(env, jdk, probability);
                trials.push(on_jdk(env, jdk, &format!("random::{probability}"), &[], test));
            }
        }
        let nm = [Need::Tool("nm")];
        let any = env.default_jdk();
        trials.push(case_needing(env, "every_import", &nm, any, |_, _| every_import()));
        trials.push(case(env, "released_without", released_without));
        Ok(trials)
    })
}

/// The file that the agent logs faults to, in the child's folder.
const LOG: &str = "faults.log";

/// A JVM in which calls fail.
fn failing(jvm: Jvm, fault: &str) -> Jvm {
    let log = jvm.dir().join(LOG).display().to_string();
    jvm.env("ZAUDIT_FAULT", &format!("calls:{fault}")).env("ZAUDIT_FAULT_LOG", &log)
}

/// What the agent has logged behind this word.
fn logged(dir: &Path, word: &str) -> Result<Vec<String>> {
    let path = dir.join(LOG);
    let log = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(log
        .lines()
        .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
        .map(|line| line.trim_end().to_owned())
        .collect())
}

/// What each program does without the agent, on each release.
static BARE: Once<(u32, &str), Outcome> = Once::new();

/// Runs programs, each with another seed.
fn random(env: &TestEnv, jdk: &Jdk, probability: &str) -> Result<()> {
    let (mut failed, mut runs) = (0, 0);
    for seed in seeds(4)? {
        // Neighbours differ in everything.
        let mut choice = fastrand::Rng::with_seed(seed ^ u64::from(jdk.major) << 32);
        let program = PROGRAMS[choice.usize(..PROGRAMS.len())];
        let options = OPTIONS[choice.usize(..OPTIONS.len())];
        let kinds = KINDS[choice.usize(..KINDS.len())];
        let fault = format!("{probability}:{seed}:{kinds}");
        let judged = one(env, jdk, program, options, &fault);
        let ended = judged.map_err(|why| format!("{program} with {options} and {fault}: {why}"))?;
        failed += logged(ended.dir(), "fails")?.len();
        runs += 1;
    }
    println!("{failed} calls have failed in {runs} runs");
    // At the highest probability no run is without one.
    ensure!(failed > 0 || probability != "0.1", "no call has failed");
    Ok(())
}

/// What was found once: program, options, what fails, and words that the report or standard error
/// must have.
const FOUND: [(&str, &str, &str, &str); 3] = [
    // The release of the JDK was taken for 8.
    ("NeverEnded", "gc,hooks=tag", "1:0:GetSystemProperty", "JVMTI GetSystemProperty failed"),
    // A finalizer thread whose stack is unknown was taken for idle.
    ("EndedByFinalizer", "gc", "1:0:GetStackTrace", "cannot observe whether finalizers"),
    // Classes of the JDK were taken as missing because there was no memory to look them up.
    ("EntryStreamsForgotten", "gc", "0.9:0:CallStaticObjectMethodA", "has no memory for"),
];

fn found(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (program, options, fault, words) in FOUND {
        let here = |why| format!("{program} with {options} and {fault}: {why}");
        let ended = one(env, jdk, program, options, fault).map_err(here)?;
        let report = fs::read_to_string(ended.dir().join("r.json")).unwrap_or_default();
        ensure!((report + &ended.stderr()).contains(words), here(format!("no {words:?}: {ended}")));
    }
    Ok(())
}

/// The seeds of a case: `number` of them, or that times `ZAUDIT_ROUNDS`.
fn seeds(number: u32) -> Result<std::ops::Range<u64>> {
    let first = match std::env::var("ZAUDIT_FAULT_SEED") {
        Ok(first) => first.parse().map_err(|_| format!("ZAUDIT_FAULT_SEED={first}"))?,
        Err(_) => 0,
    };
    Ok(first..first + u64::from(suite::rounds(number)?))
}

/// Runs a program in which calls fail, and judges what became of it.
fn one(
    env: &TestEnv,
    jdk: &Jdk,
    program: &'static str,
    options: &str,
    fault: &str,
) -> Result<Ended> {
    let fixture = env.fixture(program)?;
    let jvm = || Jvm::new(jdk, fixture);
    let bare = BARE.get((jdk.major, program), || Ok(jvm()?.run()?.into()))?;
    let ended = failing(jvm()?, fault).audited(&agent::faulty_library()?, options).run()?;
    judge(jdk, fixture, &bare, &ended)?;
    Ok(ended)
}

fn judge(jdk: &Jdk, fixture: &Fixture, bare: &Outcome, ended: &Ended) -> Result<()> {
    ensure!(ended.printed() == bare.printed, "stdout differs\n{bare}\n{ended}");
    ensure!(ended.code() == bare.code, "exit codes differ\n{bare}\n{ended}");
    // A report that cannot be written to its file goes there.
    let with_report = ended.messages().iter().any(|line| line.contains("the report follows"));
    ensure!(
        with_report || ended.foreign_stderr() == bare.foreign_stderr,
        "stderr differs\n{bare}\n{ended}"
    );
    let fails = logged(ended.dir(), "fails")?;
    if !fails.iter().any(|call| call == "os unlink") {
        let files = fs::read_dir(ended.dir()).map_err(|error| error.to_string())?;
        let temporary = files
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .find(|name| name.ends_with(".tmp"));
        ensure!(temporary.is_none(), "{temporary:?} is left: {ended}");
    }
    let exists = ended.dir().join("r.json").exists();
    let report = exists.then(|| ended.unhealthy_report()).transpose()?;
    // Otherwise it is a snapshot, or there is none.
    let Some(report) = report.filter(|report| report.process.trigger == Trigger::Exit) else {
        ensure!(!ended.messages().is_empty(), "no last report, and nothing was said: {ended}");
        return Ok(());
    };
    if report.health.ok {
        report.check().map_err(|wrong| wrong.join("\n"))?;
        ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)
            .map_err(|why| format!("health is ok, and {why}\nfailed: {fails:#?}\n{ended}"))?;
    }
    Ok(())
}

/// What cases that attach work with.
#[derive(Clone)]
struct Kit {
    zaudit: Zaudit,
}

/// A program that obeys, in whose agent calls fail.
struct Program<'a> {
    running: Running,
    kit: &'a Kit,
    said: Vec<String>,
    /// Whether no audit can be under way.
    at_rest: bool,
}

impl<'a> Program<'a> {
    fn start(kit: &'a Kit, env: &TestEnv, jdk: &Jdk, fault: &str) -> Result<Program<'a>> {
        let jvm = Jvm::new(jdk, env.fixture("Scripted")?)?.flags(["-Xmx96m"]);
        let jvm = jvm.flags((jdk.major >= 21).then_some("-XX:+EnableDynamicAgentLoading"));
        let mut running = failing(jvm, fault).spawn()?;
        running.wait_for("ready")?;
        Ok(Program { running, kit, said: vec!["ready".into()], at_rest: true })
    }

    fn obey(&mut self, line: &str) -> Result<()> {
        self.running.say(line)?;
        self.said.push(self.running.wait_for_line(&format!("done {line}"))?);
        Ok(())
    }

    fn ask(&self, subcommand: &str, words: &[&str]) -> Result<Said> {
        self.kit.zaudit.ask(subcommand, self.running.pid(), words)
    }

    /// Lets it end, and ensures that it printed what it should.
    fn end(mut self) -> Result<Ended> {
        self.running.close();
        let ended = self.running.finish()?;
        self.said.push("ended".into());
        let printed = ended.printed();
        let right = ended.code() == 0 && printed.lines().eq(self.said.iter().map(String::as_str));
        ensure!(right, "0 and {:#?} expected: {ended}", self.said);
        Ok(ended)
    }
}

/// Made in each audit of each kind, and ended of them.
const MADE: u64 = 40;
const ENDED: u64 = 25;

/// The calls that fail before all of them succeed again.
const FAULTS: usize = 120;

/// Begins and ends audits until enough calls have failed, and more of them in which none does:
/// these are exact, and afterwards the agent holds as much as if none had failed.
fn cycles(kit: &Kit, env: &TestEnv, jdk: &Jdk) -> Result<()> {
    const MOST: usize = 60;
    const CLEAN: usize = 4;
    let level = level_without_faults(kit, env, jdk, CLEAN)?;
    for seed in seeds(1)? {
        let fault = format!("0.02:{seed}:jvmti+jni+os:{FAULTS}");
        let mut program = Program::start(kit, env, jdk, &fault)?;
        let mut cycle = 0;
        let over = |program: &Program<'_>| -> Result<bool> {
            let dir = program.running.dir();
            Ok(dir.join(LOG).exists() && logged(dir, "fails")?.len() >= FAULTS)
        };
        while !over(&program)? {
            cycle += 1;
            ensure!(cycle <= MOST, "after {MOST} audits only a few calls have failed");
            faulty_cycle(&mut program, &[])
                .map_err(|why| format!("seed {seed}, audit {cycle}: {why}"))?;
        }
        // What has failed may have left an audit.
        program.ask("disarm", &["--format", "json"])?;
        clean_cycles(&mut program, CLEAN).map_err(|why| format!("seed {seed}: {why}"))?;
        let is_more = |held: &Held| {
            held.bytes > level.bytes + (64 << 10)
                || held.descriptors > level.descriptors
                || held.threads > 0
        };
        let mut held = held(&program)?;
        // The system ends a thread, and HotSpot closes a connection, a moment after the answer.
        for _ in 0..100 {
            if is_more(&held) {
                std::thread::sleep(Duration::from_millis(10));
                held = self::held(&program)?;
            }
        }
        ensure!(!is_more(&held), {
            format!("seed {seed}: the agent holds {held:?}, and {level:?} if no call fails")
        });
        println!("seed {seed}: {FAULTS} calls have failed in {cycle} audits; {held:?}");
        program.end()?;
    }
    Ok(())
}

/// What an audit needs at its beginning and its end, and whether each of its calls is to fail once;
/// of others there are many.
const NEEDED: [(&str, bool); 14] = [
    ("AddCapabilities", true),
    ("Allocate", false),
    ("CallStaticObjectMethodA", false),
    ("DefineClass", true),
    ("GetEnv", false),
    ("GetFieldID", false),
    ("GetSystemProperty", false),
    ("NewGlobalRef", false),
    ("PushLocalFrame", true),
    ("RegisterNatives", true),
    ("RetransformClasses", true),
    ("RunAgentThread", true),
    ("SetEventCallbacks", true),
    ("SetEventNotificationMode", true),
];

/// One call fails, while an audit begins or ends; the next audit is as if nothing had happened.
fn recovers(kit: &Kit, env: &TestEnv, jdk: &Jdk, options: &[&str]) -> Result<()> {
    for (name, each) in NEEDED {
        let mut nth = 1;
        while fails_once(kit, env, jdk, options, &format!("#{nth}:0:{name}"))? {
            nth = if each { nth + 1 } else { 2 * nth };
        }
        ensure!(nth > 1, "{name} is not called");
    }
    Ok(())
}

/// Two audits, the first with this failure. Returns whether there was one.
fn fails_once(kit: &Kit, env: &TestEnv, jdk: &Jdk, options: &[&str], fault: &str) -> Result<bool> {
    let here = |why| format!("{fault}: {why}");
    let mut program = Program::start(kit, env, jdk, fault)?;
    let is_half = faulty_cycle(&mut program, options).map_err(here)?;
    ensure!(!is_half, here("auditing could not begin, and has ended".into()));
    let has_failed = !logged(program.running.dir(), "fails")?.is_empty();
    if has_failed {
        // Whatever has failed may have left an audit.
        if !program.at_rest {
            program.ask("disarm", &["--format", "json"])?;
        }
        clean_cycles(&mut program, 1).map_err(here)?;
    }
    program.end().map_err(here)?;
    Ok(has_failed)
}

fn level_without_faults(kit: &Kit, env: &TestEnv, jdk: &Jdk, audits: usize) -> Result<Held> {
    let mut program = Program::start(kit, env, jdk, "0:0:jvmti")?;
    clean_cycles(&mut program, audits)?;
    let level = held(&program)?;
    program.end()?;
    Ok(level)
}

/// What is left after the last audit.
#[derive(Debug)]
struct Held {
    /// Memory of the agent.
    bytes: u64,
    /// Open files of the process.
    descriptors: usize,
    /// Threads of the agent.
    threads: usize,
}

fn held(program: &Program<'_>) -> Result<Held> {
    let all = logged(program.running.dir(), "holds")?;
    let last = all.last().ok_or("no audit has ended")?;
    let bytes = last.parse().map_err(|_| format!("no number: {last}"))?;
    let descriptors = format!("/proc/{}/fd", program.running.pid());
    let descriptors =
        fs::read_dir(&descriptors).map_err(|error| format!("{descriptors}: {error}"))?.count();
    Ok(Held { bytes, descriptors, threads: program.running.agent_threads()?.len() })
}

/// One audit. Whatever fails is said, what is reported is right, and what is said to be over is.
/// Returns whether there was an audit although it could not begin.
fn faulty_cycle(program: &mut Program<'_>, options: &[&str]) -> Result<bool> {
    let attached = program.ask("attach", options)?;
    let is_left = program.at_rest && attached.stderr.contains("an audit is under way");
    ensure!(!is_left, "the audit before was over: {attached:?}");
    program.obey(&format!("window {MADE} {ENDED}"))?;
    let disarmed = program.ask("disarm", &["--format", "json"])?;
    program.at_rest = disarmed.code == Some(0);
    program.obey("release")?;
    for said in [&attached, &disarmed] {
        ensure!(said.code == Some(0) || !said.stderr.is_empty(), "nothing was said: {said:?}");
    }
    if disarmed.code == Some(0) && !disarmed.stdout.is_empty() {
        let report = Report::read(&disarmed.stdout)?;
        if report.health.ok && attached.code == Some(0) {
            ensure_window(&report)?;
        }
    }
    Ok(attached.code != Some(0) && disarmed.code == Some(0))
}

fn clean_cycles(program: &mut Program<'_>, audits: usize) -> Result<()> {
    for _ in 0..audits {
        program.ask("attach", &[])?.done()?;
        program.obey(&format!("window {MADE} {ENDED}"))?;
        let disarmed = program.ask("disarm", &["--format", "json"])?.done()?;
        program.obey("release")?;
        let report = Report::read(&disarmed)?;
        ensure_complete(&report)?;
        ensure_window(&report)?;
    }
    Ok(())
}

/// Ensures that nothing was missed. The walk of stacks may be off since a call of it has failed.
fn ensure_complete(report: &Report) -> Result<()> {
    let complaints = ["dropped", "missing_hooks", "unreadable"].map(|name| {
        let found = &report.health.details[name];
        found.as_object().map_or(0, |it| it.len()) + found.as_array().map_or(0, Vec::len)
    });
    let settled = report.health.details["unsettled"].is_null();
    ensure!(complaints == [0; 3] && settled, "something was missed: {:?}", report.health);
    Ok(())
}

fn ensure_window(report: &Report) -> Result<()> {
    for kind in [Kind::Inflater, Kind::Deflater] {
        let window =
            report.sum(kind, |site| site.frames.iter().any(|f| f.to_string() == "Scripted.window"));
        let right = Counts { created: MADE, ended: ENDED, live: MADE - ENDED, ..Counts::default() };
        ensure!(window == right, "{kind}s of the window: {right:?} made, {window:?} counted");
    }
    Ok(())
}

/// Functions that are not reached on the JDK on which every function has to fail, and why.
const UNREACHED: [(&str, &str); 3] = [
    ("os ioctl", "only if standard error is a terminal"),
    ("jni NewByteArray", "only on JDK 8"),
    ("jni NewString", "only for the API of `zaudit-agent.jar`"),
];

fn is_unreached(call: &str) -> bool {
    UNREACHED.iter().any(|(unreached, _)| *unreached == call)
}

/// What has to fail so that a call does.
fn kinds(call: &str) -> String {
    let name = call.split(' ').next_back().unwrap_or(call);
    match name {
        // Called if the newer function is not there, or so it seems.
        "stat64" | "lstat64" | "fstat64" => format!("statx+{name}"),
        // Called to read symbols for a backtrace.
        "mmap64" => "panic+mmap64".into(),
        // Called if a file cannot be completed.
        "unlink" => "rename+unlink".into(),
        // Called to print a message.
        "poll" => "RetransformClasses+poll".into(),
        name => name.into(),
    }
}

/// Every function of the tables fails at least once, and none of these failures does harm.
fn every_call(kit: &Kit, env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let mut failed = BTreeSet::new();
    let mut can = BTreeSet::new();
    for (seed, options) in ["gc,gc_roots=5", "gc,hooks=tag"].into_iter().enumerate() {
        let fixture = env.fixture("VirtualThreads")?;
        let bare =
            BARE.get((jdk.major, "VirtualThreads"), || Ok(Jvm::new(jdk, fixture)?.run()?.into()))?;
        let fault = format!("0.02:{seed}:jvmti+jni+os");
        let jvm = failing(Jvm::new(jdk, fixture)?, &fault);
        let ended = jvm.audited(&agent::faulty_library()?, options).run()?;
        judge(jdk, fixture, &bare, &ended)?;
        can.extend(logged(ended.dir(), "can")?);
        failed.extend(logged(ended.dir(), "fails")?);
    }
    ensure!(can.len() > 60, "the tables have {} functions only", can.len());
    everything(kit, env, jdk, "0:0:jvmti", Want::Done)?;
    let fault = |fault: &str| {
        let more = everything(kit, env, jdk, fault, Want::Anything);
        more.map(|(_, failed)| failed).map_err(|why| format!("{fault}: {why}"))
    };
    for seed in 0..3 {
        let fails = format!("{}:{seed}:jvmti+jni+os", ["0.03", "0.1"][seed % 2]);
        failed.extend(fault(&fails)?);
    }
    // What is rarely called: a few together, and then each alone.
    for (probability, together) in [("0.3", 4), ("0.5", 1), ("1", 1)] {
        let left: Vec<String> = can
            .difference(&failed)
            .filter(|call| !is_unreached(call))
            .map(|it| kinds(it))
            .collect();
        for some in left.chunks(together) {
            failed.extend(fault(&format!("{probability}:1:{}", some.join("+")))?);
        }
    }
    let odd: Vec<_> = can.iter().filter(|it| failed.contains(*it) == is_unreached(it)).collect();
    ensure!(odd.is_empty(), "never called, or called although the list says never: {odd:?}");
    Ok(())
}

/// What commands are to come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Done,
    Anything,
}

/// Has the agent do all that it can while calls fail. Returns those that can fail and those that
/// have failed.
fn everything(
    kit: &Kit,
    env: &TestEnv,
    jdk: &Jdk,
    fault: &str,
    want: Want,
) -> Result<(Vec<String>, Vec<String>)> {
    let mut program = Program::start(kit, env, jdk, fault)?;
    let ask = |program: &Program<'_>, subcommand, words: &[&str]| -> Result<()> {
        let said = program.ask(subcommand, words)?;
        ensure!(want == Want::Anything || said.code == Some(0), "{subcommand}: {said:?}");
        Ok(())
    };
    let churn = if jdk.major >= 21 { "virtual 1" } else { "churn 1" };
    for line in ["open 8", "streams 2", "zipfs 2", churn] {
        program.obey(line)?;
    }
    for options in
        [&["signal=USR1", "gc_roots=5", "file=r.json", "interval=100ms"][..], &["hooks=tag"]]
    {
        ask(&program, "attach", options)?;
        program.obey("open 8")?;
        ask(&program, "dump", &["--gc", "--format", "json"])?;
        ask(&program, "disarm", &["--format", "json"])?;
    }
    // The agent's thread writes the last report, to a special file.
    ask(&program, "attach", &["file=/proc/self/fd/2", "duration=100ms"])?;
    std::thread::sleep(Duration::from_millis(300));
    program.obey("calm")?;
    let ended = program.end()?;
    Ok((logged(ended.dir(), "can")?, logged(ended.dir(), "fails")?))
}

/// What has crashed the JVM once: a search for open streams that fails half-way left marks on
/// objects that a later search took for Inflaters.
const CRASHED: [&str; 2] = ["#2:0:SetTag", "#1:0:GetObjectsWithTags"];

/// Calls of one function fail, while the agent does all that it can.
fn alone(kit: &Kit, env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for fault in CRASHED {
        everything(kit, env, jdk, fault, Want::Anything)
            .map_err(|why| format!("{fault}: {why}"))?;
    }
    let mut can = vec!["jni NewStringUTF".to_owned()];
    for seed in seeds(2)? {
        let mut choice = fastrand::Rng::with_seed(seed ^ u64::from(jdk.major) << 32);
        let nth = format!("#{}", choice.usize(1..20));
        let probability = ["0.05", "0.5", &nth][choice.usize(..3)];
        let call = &can[choice.usize(..can.len())];
        let fault = format!("{probability}:{seed}:{}", kinds(call));
        let (table, _) = everything(kit, env, jdk, &fault, Want::Anything)
            .map_err(|why| format!("{fault}: {why}"))?;
        can = table;
    }
    Ok(())
}

/// Functions of the C library that the agent's library imports and that do not fail in this suite,
/// and why.
const NEVER: [(&str, &[&str]); 6] = [
    (
        "memory has faults of its own (`memory-…`, the suite `memory`)",
        &["calloc", "free", "malloc", "malloc_usable_size", "posix_memalign", "realloc"],
    ),
    (
        "has no errors, or none that its caller could see",
        &[
            "_exit",
            "abort",
            "bcmp",
            "clock_gettime",
            "closedir",
            "dirfd",
            "dl_iterate_phdr",
            "dlclose",
            "dlerror",
            "exit",
            "getenv",
            "getpid",
            "gettid",
            "isatty",
            "memcmp",
            "memcpy",
            "memmove",
            "memset",
            "munmap",
            "sched_yield",
            "strlen",
            "sysconf",
        ],
    ),
    ("fails only for a wrong argument", &["fcntl", "lseek64", "prctl"]),
    (
        "the standard library ends the process if it fails",
        &["getrandom", "pthread_key_create", "pthread_key_delete", "pthread_setspecific"],
    ),
    ("nothing that the agent does calls it", &["getcwd", "writev"]),
    ("belongs to the compiler's run-time libraries", &["_", "gnu_get_libc_version"]),
];

/// Every function that the library imports can fail, or is listed as one that cannot.
fn every_import() -> Result<()> {
    let library = agent::faulty_library()?;
    let symbols = |which: &str| -> Result<BTreeSet<String>> {
        let mut nm = Command::new("nm");
        let said = Said::of(nm.args(["-D", which]).arg(&library))?.done()?;
        let name = |line: &str| line.split_whitespace().last().map(str::to_owned);
        Ok(said
            .lines()
            .filter_map(name)
            .map(|it| it.split('@').next().unwrap_or(&it).to_owned())
            .collect())
    };
    let (imported, defined) = (symbols("--undefined-only")?, symbols("--defined-only")?);
    ensure!(imported.contains("write") && defined.contains("__wrap_write"), "{imported:?}");
    let is_listed = |name: &str| {
        NEVER.iter().flat_map(|(_, names)| names.iter()).any(|listed| match *listed {
            "_" => name.starts_with('_'),
            listed => name == listed,
        })
    };
    let odd: Vec<&String> = imported
        .iter()
        .filter(|name| !defined.contains(&format!("__wrap_{name}")) && !is_listed(name))
        .collect();
    ensure!(odd.is_empty(), "neither made to fail nor listed: {odd:?}");
    Ok(())
}

/// The library that users load has no faults to inject.
fn released_without(env: &TestEnv) -> Result<()> {
    let has = |library: &Path| -> Result<bool> {
        let bytes = fs::read(library).map_err(|error| format!("{}: {error}", library.display()))?;
        Ok(bytes.windows(VARIABLE.len()).any(|part| part == VARIABLE))
    };
    ensure!(has(&agent::faulty_library()?)?, "the faulty library has no faults");
    ensure!(!has(&env.library)?, "the released library has faults");
    Ok(())
}

const VARIABLE: &[u8] = b"ZAUDIT_FAULT";
