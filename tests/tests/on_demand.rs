//! Reports on demand: the agent's signal, SIGQUIT and `jcmd JVMTI.data_dump`; numbered, exact, and
//! no harm to the last one.
//!
//! Invariant: a signal that the program or its parent has a use for is never the agent's.

use std::process::{Command, ExitCode, Stdio};
use zaudit_tests::Result;
use zaudit_tests::agent;
use zaudit_tests::child::Running;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Kind, Report, Trigger};
use zaudit_tests::suite::{self, Need, TestEnv, ensure_counts, per_jdk_needing};

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

const ANY: &[Need] = &[];

const TESTS: [(&str, &[Need], Test); 13] = [
    // The longest is the first.
    ("flood_of_frees", ANY, flood_of_frees),
    ("signal", ANY, by_signal),
    ("another_signal", ANY, by_another_signal),
    ("sigquit", ANY, by_sigquit),
    // `jcmd PID JVMTI.data_dump` came with JDK 9.
    ("jcmd", &[Need::since(9)], by_jcmd),
    ("text_on_stderr", ANY, text_on_stderr),
    ("exact_right_after_a_collection", ANY, exact_after_gc),
    ("gc_option_on_demand", ANY, gc_on_demand),
    ("program_takes_the_signal", ANY, program_takes_the_signal),
    ("signal_ignored_at_start", ANY, ignored_at_start),
    ("reduced_signals", ANY, reduced_signals),
    ("many_signals", ANY, many_signals),
    ("exact_while_threads_go_on", ANY, exact_while_threads_go_on),
];

/// Where a report searches the heap for instances of subclasses: on each of these JDKs.
const SUBCLASSES: [(&str, &[Need], Test); 2] = [
    ("subclasses_under_construction", &[Need::Jdk(9..=11)], subclasses_under_construction),
    ("subclasses_that_end", &[Need::Jdk(8..=11)], subclasses_that_end),
];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials = env.missing();
        trials.extend(suite::table(env, per_jdk_needing(env, TESTS))?);
        trials.extend(per_jdk_needing(env, SUBCLASSES));
        Ok(trials)
    })
}

fn garbage(env: &TestEnv, jdk: &Jdk, options: &str) -> Result<Jvm> {
    Ok(Jvm::new(jdk, env.fixture("Garbage")?)?.flags(checks(jdk)).audited(&env.library, options))
}

/// JDK 8 under `-Xcheck:jni` prints all its handlers when SIGUSR1 has one, so the agent leaves that
/// signal alone there.
fn checks(jdk: &Jdk) -> Option<&'static str> {
    (jdk.major > 8).then_some("-Xcheck:jni")
}

fn ready(jvm: Jvm) -> Result<Running> {
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    Ok(running)
}

/// Ensures the trigger and the counts of a report about `Garbage`.
fn ensure_report(env: &TestEnv, jdk: &Jdk, report: &Report, trigger: Trigger) -> Result<()> {
    ensure!(report.process.trigger == trigger, "trigger is {:?}", report.process.trigger);
    let fixture = env.fixture("Garbage")?;
    ensure_counts(fixture, &fixture.expected(jdk.major, false), report)
}

/// Lets the program end, and checks the last report and what the program printed.
fn ensure_end(env: &TestEnv, jdk: &Jdk, mut running: Running) -> Result<()> {
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 0, ended.to_string());
    ensure!(ended.printed().ends_with("done\n"), ended.to_string());
    ensure_report(env, jdk, &ended.report()?, Trigger::Exit)
}

fn by_signal(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let mut running = ready(garbage(env, jdk, "gc")?)?;
    for number in 1..=3 {
        running.signal("USR1")?;
        let report = running.wait_for_report(&format!("r.{number}.json"))?;
        ensure_report(env, jdk, &report, Trigger::Signal)?;
        ensure!(report.process.pid == running.pid(), "pid is {}", report.process.pid);
    }
    ensure!(!running.dir().join("r.json").exists(), "the last report is there before the end");
    ensure_end(env, jdk, running)
}

fn by_another_signal(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for name in ["SIGWINCH", "WINCH"] {
        let mut running = ready(garbage(env, jdk, &format!("gc,signal={name}"))?)?;
        running.signal("WINCH")?;
        ensure_report(env, jdk, &running.wait_for_report("r.1.json")?, Trigger::Signal)?;
        ensure_end(env, jdk, running)?;
    }
    Ok(())
}

fn by_sigquit(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let mut running = ready(garbage(env, jdk, "gc")?)?;
    running.signal("QUIT")?;
    ensure_report(env, jdk, &running.wait_for_report("r.1.json")?, Trigger::DataDump)?;
    running.say("")?;
    let ended = running.finish()?;
    let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
    ensure!(stdout.contains("Full thread dump"), "SIGQUIT is still the JVM's: {ended}");
    ensure_report(env, jdk, &ended.report()?, Trigger::Exit)
}

fn by_jcmd(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let mut running = ready(garbage(env, jdk, "gc")?)?;
    let output = Command::new(jdk.tool("jcmd"))
        .args([&running.pid().to_string(), "JVMTI.data_dump"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("jcmd: {error}"))?;
    ensure!(output.status.success(), "{output:?}");
    ensure_report(env, jdk, &running.wait_for_report("r.1.json")?, Trigger::DataDump)?;
    running.signal("USR1")?;
    ensure_report(env, jdk, &running.wait_for_report("r.2.json")?, Trigger::Signal)?;
    ensure_end(env, jdk, running)
}

fn text_on_stderr(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("Garbage")?)?.agent(&env.library, "gc");
    let mut running = ready(jvm)?;
    running.signal("USR1")?;
    running.wait_for_stderr("SUMMARY: zaudit:")?;
    running.say("")?;
    let ended = running.finish()?;
    let summaries = ended.stderr().matches("SUMMARY: zaudit:").count();
    ensure!(summaries == 2, "two summaries expected, the demanded one and the last: {ended}");
    ensure!(ended.printed() == "ready\ndone\n", ended.to_string());
    Ok(())
}

/// The program has just run a GC; the agent forces none, and must know all freed instances all the
/// same. `ObjectFree` comes from a service thread since JDK 16: pending events must be flushed.
fn exact_after_gc(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let concurrent: &[_] = match jdk.major {
        ..14 => &["-XX:+UseConcMarkSweepGC"],
        17.. => &["-XX:+UseZGC", "-XX:+UseShenandoahGC"],
        _ => &[],
    };
    for flag in ["-XX:+UseSerialGC", "-XX:+UseParallelGC", "-XX:+UseG1GC"].iter().chain(concurrent)
    {
        for _ in 0..2 {
            let mut running = ready(garbage(env, jdk, "")?.flags([flag]))?;
            running.signal("USR1")?;
            let report = running.wait_for_report("r.1.json")?;
            ensure_report(env, jdk, &report, Trigger::Signal)
                .map_err(|why| format!("{flag}: {why}"))?;
            ensure_end(env, jdk, running)?;
        }
    }
    Ok(())
}

/// `gc` collects before a demanded report, too: garbage that the program left is not called live.
fn gc_on_demand(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("Ending")?;
    let jvm =
        Jvm::new(jdk, fixture)?.flags(checks(jdk)).args(&["wait"]).audited(&env.library, "gc");
    let mut running = ready(jvm)?;
    running.signal("USR1")?;
    ensure_counts(
        fixture,
        &fixture.expected(jdk.major, false),
        &running.wait_for_report("r.1.json")?,
    )?;
    running.close();
    let ended = running.finish()?;
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}

fn program_takes_the_signal(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("TakesSignal")?;
    // JDK 8 lets no program have SIGUSR1.
    let (signal, options) =
        if jdk.major == 8 { ("WINCH", "gc,signal=WINCH") } else { ("USR1", "gc") };
    let mut running =
        ready(Jvm::new(jdk, fixture)?.args(&[signal]).audited(&env.library, options))?;
    running.signal(signal)?;
    running.wait_for(&format!("handled SIG{signal}"))?;
    running.close();
    let ended = running.finish()?;
    ensure!(!ended.dir().join("r.1.json").exists(), "the program's own signal made a report");
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}

/// A parent had SIGUSR1 ignored: it stays so, and SIGQUIT is still there for a report. If the
/// options name that very signal, one line says so; otherwise there is none.
fn ignored_at_start(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (options, lines) in [("gc", 0), ("gc,signal=USR1", 1)] {
        let mut running = ready(garbage(env, jdk, options)?.after("trap '' USR1"))?;
        running.signal("USR1")?;
        running.signal("QUIT")?;
        let report = running.wait_for_report("r.1.json")?;
        ensure_report(env, jdk, &report, Trigger::DataDump)?;
        running.say("")?;
        let ended = running.finish()?;
        ensure!(!ended.dir().join("r.2.json").exists(), "an ignored signal made a report");
        let messages = ended.messages();
        let right = messages.len() == lines && messages.iter().all(|line| line.contains("SIGUSR1"));
        ensure!(right, "{lines} lines about SIGUSR1 expected: {messages:#?}");
        ensure_report(env, jdk, &ended.report()?, Trigger::Exit)?;
    }
    Ok(())
}

/// `-Xrs` takes the shutdown signals and SIGQUIT from the JVM; the agent's own is none of them.
fn reduced_signals(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let mut running = ready(garbage(env, jdk, "gc")?.flags(["-Xrs"]))?;
    running.signal("USR1")?;
    ensure_report(env, jdk, &running.wait_for_report("r.1.json")?, Trigger::Signal)?;
    ensure_end(env, jdk, running)
}

/// Signals that come faster than reports can be written: at least one report, no harm, and the last
/// one whole.
fn many_signals(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let mut running = ready(garbage(env, jdk, "gc")?)?;
    for _ in 0..100 {
        running.signal("USR1")?;
    }
    ensure_report(env, jdk, &running.wait_for_report("r.1.json")?, Trigger::Signal)?;
    ensure_end(env, jdk, running)
}

/// Reports that are taken while four threads make, end and forget: each of them adds up, which
/// reading it checks, no count goes back, and the last one has as many as the program says that it
/// made.
fn exact_while_threads_go_on(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("Churning")?)?.args(&["count"]).audited(&env.library, "");
    let mut running = ready(jvm)?;
    let created = |report: &Report| {
        [Kind::Inflater, Kind::Deflater]
            .map(|kind| report.sum(kind, |site| site.is_of("Churning")).created)
    };
    let mut before = [0, 0];
    for number in 1..=12 {
        running.signal("USR1")?;
        let now = created(&running.wait_for_report(&format!("r.{number}.json"))?);
        ensure!(now[0] >= before[0] && now[1] >= before[1], "{before:?} made, and then {now:?}");
        before = now;
    }
    running.close();
    let ended = running.finish()?;
    let printed = ended.printed();
    let made = printed.strip_prefix("ready\nmade ").and_then(|count| count.trim().parse().ok());
    let made: u64 = made.ok_or_else(|| ended.to_string())?;
    let last = created(&ended.report()?);
    ensure!(last == [made, made], "{made} of each were made, and {last:?} are counted");
    Ok(())
}

/// Up to JDK 11 a report searches the heap for instances of subclasses that are gone. One whose
/// constructor has not stored its native stream yet looks like one, but is not. (JDK 8's finalizer
/// cannot keep up with this program.)
fn subclasses_under_construction(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    churned(env, jdk, 20, |jvm| Ok(jvm.audited(&env.library, "")))
}

/// One whose `end()` has cleared the address, and has not reached the hook yet, is not gone either.
fn subclasses_that_end(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let slow =
        |jvm: Jvm| Ok(jvm.env("ZAUDIT_FAULT", "slow-end").audited(&agent::faulty_library()?, ""));
    churned(env, jdk, 5, slow)
}

/// Makes reports while instances of subclasses are created and ended, none of which is left.
fn churned(
    env: &TestEnv,
    jdk: &Jdk,
    reports: u32,
    audited: impl FnOnce(Jvm) -> Result<Jvm>,
) -> Result<()> {
    let fixture = env.fixture("SubclassesChurned")?;
    let mut running = ready(audited(Jvm::new(jdk, fixture)?)?)?;
    for number in 1..=reports {
        running.signal("USR1")?;
        running.wait_for_report(&format!("r.{number}.json"))?;
    }
    running.close();
    let report = running.finish()?.report()?;
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)
}

/// Snapshots of a program whose JVM reports frees all the time. A flush of the pending ones must
/// not meet the JVM's own thread that reports them: JDK 17 to 26 deadlocked within seconds.
fn flood_of_frees(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("FloodOfFrees")?)?.flags(["-Xmx48m"]);
    let mut running = ready(jvm.audited(&env.library, "interval=100ms,max_snapshots=5"))?;
    let freed = running.wait_for_report("r.60.json")?.sum(Kind::Inflater, |_| true);
    // It is killed here: HotSpot's own exit has the same defect, and deadlocks now and then.
    ensure!(freed.late + freed.collected > 0, "nothing was freed: {freed:?}");
    Ok(())
}
