//! Virtual threads under the agent, on every JDK that has them, with a quarter of its collectors.
//!
//! The program `VirtualLives` has virtual threads block in every way, at depths of up to 1,000
//! calls, and prints what it made, ended and lost at each depth. Invariant: a report has the same
//! numbers to the unit, its stacks reach from the constructor down to the first frame of the
//! thread, and the JVM lives.

mod program;

use libtest_mimic::Trial;
use program::{Lost, Program, ensure_lives, total};
use std::process::{Command, ExitCode, Stdio};
use zaudit_tests::Result;
use zaudit_tests::command::{Said, Zaudit};
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Kind, Trigger};
use zaudit_tests::suite::{self, TestEnv, ensure_counts, on_jdk};

/// The release that brought virtual threads.
const SINCE: u32 = 21;

/// A collector: its name, the releases that have it, its flags.
type Collector = (&'static str, std::ops::RangeInclusive<u32>, &'static [&'static str]);

const COLLECTORS: [Collector; 8] = [
    ("serial", 21..=u32::MAX, &["-XX:+UseSerialGC"]),
    // From 24 on ZGC has no other mode.
    ("zgc_generational", 21..=23, &["-XX:+UseZGC", "-XX:+ZGenerational"]),
    ("parallel", 21..=u32::MAX, &["-XX:+UseParallelGC"]),
    ("g1", 21..=u32::MAX, &["-XX:+UseG1GC"]),
    ("shenandoah", 21..=u32::MAX, &["-XX:+UseShenandoahGC"]),
    // In this place it runs on 21, the only release in which it has but one generation.
    ("zgc", 21..=u32::MAX, &["-XX:+UseZGC"]),
    (
        "shenandoah_generational",
        25..=u32::MAX,
        &[
            "-XX:+UnlockExperimentalVMOptions",
            "-XX:+UseShenandoahGC",
            "-XX:ShenandoahGCMode=generational",
        ],
    ),
    (
        EPSILON,
        21..=u32::MAX,
        &["-XX:+UnlockExperimentalVMOptions", "-XX:+UseEpsilonGC", "-Xmx1g", "-Xlog:gc+init=off"],
    ),
];

/// The collector that never collects.
const EPSILON: &str = "epsilon";

/// The collectors of the cases in which all goes on at once: one for each release.
const BUSY: [&str; 5] = ["g1", "zgc", "shenandoah", "parallel", "serial"];

/// Of those in which audits begin and end.
const CYCLED: [&str; 4] = ["serial", "g1", "zgc", "shenandoah"];

/// And of those that have a flight recording all the time.
const RECORDED: [&str; 3] = ["serial", "zgc_generational", "shenandoah"];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let zaudit = Zaudit::ready(env)?;
        let mut trials = env.missing();
        let able = env.jdks.iter().filter(|jdk| jdk.major >= SINCE);
        for (jdk, busy) in able.zip(BUSY.into_iter().cycle()) {
            for (column, (name, releases, flags)) in COLLECTORS.into_iter().enumerate() {
                if releases.contains(&jdk.major) {
                    let kit = Kit {
                        jdk: jdk.clone(),
                        zaudit: zaudit.clone(),
                        flags,
                        collects: name != EPSILON,
                        recorded: RECORDED.contains(&name),
                    };
                    trials.extend(kit.trials(env, column, name, name == busy)?);
                }
            }
        }
        Ok(trials)
    })
}

/// Time for what a collection leaves to Cleaners, on a machine that has other work.
const PATIENT: &str = "gc_timeout=60s";

type Test = fn(&Kit, &TestEnv) -> Result<()>;

/// What a case works with.
#[derive(Clone)]
struct Kit {
    jdk: Jdk,
    zaudit: Zaudit,
    flags: &'static [&'static str],
    collects: bool,
    recorded: bool,
}

impl Kit {
    /// What there is in this column of the table of JDKs and collectors.
    fn trials(
        &self,
        env: &TestEnv,
        column: usize,
        collector: &str,
        busy: bool,
    ) -> Result<Vec<Trial>> {
        let trial = |name: &str, test: Test| {
            let kit = self.clone();
            let name = format!("{collector}::{name}");
            on_jdk(env, &self.jdk, &name, &[], move |env, _| test(&kit, env))
        };
        let mut trials = vec![suite::in_table(self.jdk.place(), column, trial("lives", lives))?];
        if CYCLED.contains(&collector) {
            trials.push(suite::in_table(self.jdk.place(), column, trial("cycles", cycles))?);
        }
        // It waits until its streams are freed.
        if self.collects {
            trials.push(trial("virtual_cleaner", virtual_cleaner));
        }
        if busy {
            trials.push(trial("all_at_once", all_at_once));
        }
        Ok(trials)
    }

    /// The program, with no agent yet.
    fn lives(&self, env: &TestEnv, recorded: bool) -> Result<Jvm> {
        // On JDK 21 a thread that waits in a monitor keeps its carrier: there must be more
        // carriers than such threads.
        let flags = ["-Xmx128m", "-Djdk.virtualThreadScheduler.parallelism=20"];
        let jvm = Jvm::new(&self.jdk, env.fixture("VirtualLives")?)?;
        let record = ["-XX:StartFlightRecording:filename=r.jfr,settings=profile", "-Xlog:jfr*=off"];
        let record = record.into_iter().filter(|_| recorded);
        Ok(jvm
            .flags(flags)
            .flags(["-XX:+EnableDynamicAgentLoading"])
            .flags(self.flags)
            .flags(record))
    }

    fn start(&self, jvm: Jvm) -> Result<Program> {
        Program::start(jvm, &self.zaudit)
    }

    /// What is certain of lost streams after a collection that was forced.
    fn lost(&self) -> Lost {
        if self.collects { Lost::Collected } else { Lost::Live }
    }

    /// The words that ask a command for a forced collection.
    fn gc(&self) -> &'static [&'static str] {
        if self.collects { &["--gc"] } else { &[] }
    }
}

/// Counts while threads are frozen with their streams, and after all is done.
fn lives(kit: &Kit, env: &TestEnv) -> Result<()> {
    let options = if kit.collects { "gc,gc_timeout=60s" } else { "" };
    let jvm = kit.lives(env, kit.recorded)?.audited(&env.library, options);
    let mut program = kit.start(jvm)?;
    program.obey("brief 200")?;
    let made = program.obey("begin 1 48 5")?;
    program.running.signal("USR1")?;
    let report = program.running.wait_for_report("r.1.json")?;
    ensure!(report.process.trigger == Trigger::Signal, "{:?}", report.process);
    ensure_lives(&report, &made, kit.lost())?;
    program.obey("resume")?;
    // In the second batch the recursion is compiled.
    let made = program.obey("begin 2 48 5")?;
    ensure_lives(&program.report("dump", &[])?, &made, Lost::Either)?;
    let made = program.obey("resume")?;
    ensure_lives(&program.end()?.report()?, &made, kit.lost())
}

/// Audits that begin and end while threads are frozen, beside others that come and go.
fn cycles(kit: &Kit, env: &TestEnv) -> Result<()> {
    let mut program = kit.start(kit.lives(env, false)?)?;
    let before = program.obey("begin 1 24 4")?;
    program.zaudit("attach", &[PATIENT])?;
    let adopted = program.report("dump", kit.gc())?.totals.adopted;
    for kind in [Kind::Inflater, Kind::Deflater] {
        let (made, adopted) = (total(&before, kind), adopted.of(kind).counts);
        let live = made.created - made.ended - if kit.collects { made.lost } else { 0 };
        let right = adopted.live == live && adopted.ended + adopted.late == 0;
        ensure!(right, "{live} {kind}s are open of {made:?}: {adopted:?}");
    }
    program.obey("resume")?;
    let after = program.obey("end")?;
    let report = program.report("disarm", kit.gc())?;
    for kind in [Kind::Inflater, Kind::Deflater] {
        let (before, after) = (total(&before, kind), total(&after, kind));
        let (sites, adopted) = (report.sum(kind, |_| true), report.totals.adopted.of(kind).counts);
        let right = sites.created == after.created - before.created
            && sites.ended + adopted.ended == after.ended - before.ended
            && (!kit.collects || sites.live + adopted.live == 0);
        ensure!(right, "{kind}s: {before:?}, then {after:?}: {sites:?}, {adopted:?}");
    }
    program.obey("churn 2")?;
    for round in 0..4 {
        let here = |why| format!("round {round}: {why}");
        program.obey("forget")?;
        program.zaudit("attach", &[PATIENT]).map_err(here)?;
        let made = program.obey(&format!("begin {round} 24 4"))?;
        match round % 4 {
            // What is frozen is adopted by the next audit, or by the same one that counts anew.
            0 => {
                ensure_lives(&program.report("disarm", &[])?, &made, Lost::Either).map_err(here)?;
                program.zaudit("attach", &[PATIENT]).map_err(here)?;
                program.obey("resume")?;
                program.report("disarm", kit.gc()).map_err(here)?;
            }
            1 => {
                ensure_lives(&program.report("dump", &[])?, &made, Lost::Either).map_err(here)?;
                program.zaudit("reset", &[]).map_err(here)?;
                program.obey("resume")?;
                program.report("disarm", &[]).map_err(here)?;
            }
            // Frozen under an audit, and thawed under none.
            2 => {
                program.report("disarm", &[]).map_err(here)?;
                program.obey("resume")?;
            }
            _ => {
                let made = program.obey("resume")?;
                ensure_lives(&program.report("disarm", kit.gc())?, &made, kit.lost())
                    .map_err(here)?;
            }
        }
        program.obey("end")?;
    }
    program.obey("calm")?;
    program.end().map(drop)
}

/// A Cleaner that is a virtual thread is one that only frees, with every collector.
fn virtual_cleaner(kit: &Kit, env: &TestEnv) -> Result<()> {
    let fixture = env.fixture("VirtualCleaner")?;
    let jvm = Jvm::new(&kit.jdk, fixture)?.flags(["-Xmx64m"]).flags(kit.flags);
    let ended = jvm.audited(&env.library, "gc,gc_timeout=60s").run()?;
    ensure!(ended.code() == 0 && ended.printed() == "ended\n", ended.to_string());
    ensure_counts(fixture, &fixture.expected(kit.jdk.major, false), &ended.report()?)
}

/// Has the JVM write all its threads, virtual ones included, to a file.
fn dump_threads(jdk: &Jdk, pid: u32, words: &[&str]) -> Result<()> {
    let mut jcmd = Command::new(jdk.tool("jcmd"));
    jcmd.arg(pid.to_string())
        .args(["Thread.dump_to_file", "-overwrite"])
        .args(words)
        .stdin(Stdio::null());
    let said = Said::of(&mut jcmd)?;
    ensure!(said.code == Some(0) && said.stdout.contains("Created"), "{said:?}");
    Ok(())
}

/// Recordings, thread dumps, snapshots, reports by signal and by command, searches for roots and
/// audits that begin and end, while batches block and go on.
fn all_at_once(kit: &Kit, env: &TestEnv) -> Result<()> {
    const OPTIONS: &str = "interval=300ms,gc_roots=2,gc_roots_timeout=500ms,gc_timeout=60s";
    let mut program = kit.start(kit.lives(env, true)?.audited(&env.library, OPTIONS))?;
    let (jdk, pid, dir) = (&kit.jdk, program.running.pid(), program.running.dir().to_owned());
    program.obey("churn 2")?;
    program.obey("brief 200")?;
    let made = program.obey("begin 11 60 5")?;
    program.running.signal("USR1")?;
    ensure_lives(&program.running.wait_for_report("r.1.json")?, &made, Lost::Either)?;
    dump_threads(jdk, pid, &["threads.txt"])?;
    let searched = program.report("dump", &["--gc"])?;
    ensure_lives(&searched, &made, Lost::Collected)?;
    ensure!(searched.retention_pause_seconds.is_some(), "nothing was searched for roots");
    let zaudit = kit.zaudit.clone();
    let beside = |round: u32| -> Result<()> {
        let subcommand = if round.is_multiple_of(2) { "dump" } else { "reset" };
        match subcommand {
            "dump" => zaudit.report("dump", pid, &[]).map(drop)?,
            _ => zaudit.ask("reset", pid, &[])?.done().map(drop)?,
        }
        dump_threads(jdk, pid, &["-format=json", "threads.json"])
    };
    program.obey("resume")?;
    for round in 0..2 {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| beside(round));
            for seed in 0..2 {
                program.obey(&format!("begin {} 36 4", 100 * round + seed))?;
                program.running.signal("USR1")?;
                program.obey("resume")?;
            }
            other.join().map_err(|_| "it panicked".to_owned())?
        })?;
    }
    program.obey("end")?;
    program.report("disarm", &[])?;
    let file = format!("file={}", dir.join("r.json").display());
    program.zaudit("attach", &[&file, "format=json", "interval=300ms", "gc_roots=2", PATIENT])?;
    program.obey("forget")?;
    let made = program.obey("begin 12 48 5")?;
    ensure_lives(&program.report("dump", &["--gc"])?, &made, Lost::Collected)?;
    let made = program.obey("resume")?;
    ensure_lives(&program.report("dump", &["--gc"])?, &made, Lost::Collected)?;
    program.obey("calm")?;
    let ended = program.end()?;
    ensure_lives(&ended.report()?, &made, Lost::Either)?;
    for name in ["r.jfr", "threads.txt", "threads.json"] {
        let size = std::fs::metadata(dir.join(name)).map(|file| file.len());
        ensure!(matches!(size, Ok(1..)), "{name}: {size:?}");
    }
    Ok(())
}
