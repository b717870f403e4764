//! What the agent does where the process has no memory left: on a build whose allocations fail on
//! demand (`ZAUDIT_FAULT`), and under a real limit of the address space.
//!
//! Invariant: whatever cannot be allocated, the program goes on with its own output and exit code,
//! and what was lost is said.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, ExitCode};
use zaudit_core::options::Format;
use zaudit_tests::Result;
use zaudit_tests::agent;
use zaudit_tests::child::Ended;
use zaudit_tests::command::{Said, Zaudit};
use zaudit_tests::ensure;
use zaudit_tests::formats;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::once::{Once, Outcome};
use zaudit_tests::report::{Kind, Report};
use zaudit_tests::suite::{self, TestEnv, ensure_counts, per_jdk};

/// Where allocations fail: in a hook from its beginning, while a new stack is learnt, in `end()`,
/// in ObjectFree, in the making of a report, in each renderer, in a command; and everywhere from
/// the start on.
const STAGES: [&str; 8] =
    ["created", "learn", "ended", "freed", "report", "render", "attach", "all"];

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

const TESTS: [(&str, Test); 5] = [
    ("recovered", recovered),
    ("lost_is_counted", lost_is_counted),
    ("limited_address_space", limited),
    ("clean_stacks_cost_nothing", clean_stacks),
    ("budget_for_stacks", budget),
];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials = env.missing();
        let without = STAGES.into_iter().flat_map(|stage| {
            ["NeverEnded", "ManyStacks"].map(|fixture| {
                let test = move |env: &TestEnv, jdk: &Jdk| without_memory(env, jdk, stage, fixture);
                (format!("none_in_{stage}::{fixture}"), test)
            })
        });
        trials.extend(suite::table(env, per_jdk(env, without))?);
        trials.extend(suite::table(env, per_jdk(env, TESTS))?);
        Ok(trials)
    })
}

/// Stacks and depth of `ManyStacks`: more than a report lists.
const MANY: [&str; 2] = ["1024", "60"];

/// What each program does without the agent, on each release.
static BARE: Once<(u32, &str), Outcome> = Once::new();

fn without_memory(env: &TestEnv, jdk: &Jdk, stage: &str, fixture: &'static str) -> Result<()> {
    let library = agent::faulty_library()?;
    let jvm = || -> Result<Jvm> {
        let args: &[&str] = if fixture == "ManyStacks" { &MANY } else { &[] };
        Ok(Jvm::new(jdk, env.fixture(fixture)?)?.args(args))
    };
    let bare = BARE.get((jdk.major, fixture), || Ok(jvm()?.run()?.into()))?;
    let faulty = jvm()?
        .env("ZAUDIT_FAULT", &format!("memory-{stage}"))
        .agent(&library, format!("gc,{}", formats::files_in(Path::new(""))));
    let mut running = faulty.spawn()?;
    if fixture == "ManyStacks" {
        running.wait_for("ready")?;
        // A report through the channel of commands, whatever becomes of it.
        let said = Zaudit::ready(env)?.with_library(library).ask(
            "dump",
            running.pid(),
            &["--format", "json"],
        )?;
        if let Some(text) = (said.code == Some(0)).then_some(said.stdout) {
            ensure_adds_up(&Report::read(&text)?)?;
        }
        running.say("")?;
    }
    running.close();
    let ended = running.finish()?;
    ensure_unharmed(&ended, &bare)?;
    match ended.unhealthy_report() {
        Ok(report) => ensure_adds_up(&report),
        Err(why) if !["report", "render", "all"].contains(&stage) => Err(why),
        Err(_) => {
            ensure!(ended.stderr().contains("no memory left"), "nothing was said: {ended}");
            Ok(())
        }
    }
}

/// What a shortage has left in the reserve is no shortage.
fn recovered(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("NeverEnded")?;
    let jvm = Jvm::new(jdk, fixture)?.env("ZAUDIT_FAULT", "memory-none-pinned");
    let report = jvm.audited(&agent::faulty_library()?, "gc").run()?.report()?;
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)
}

/// An instance that cannot be entered is in no count, and health has it.
fn lost_is_counted(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let library = agent::faulty_library()?;
    let run = |fault: &str| -> Result<Report> {
        let jvm = Jvm::new(jdk, env.fixture("NeverEnded")?)?.env("ZAUDIT_FAULT", fault);
        jvm.audited(&library, "gc").run()?.unhealthy_report()
    };
    let whole = run("none")?.totals;
    let whole: u64 = Kind::ALL.iter().map(|kind| whole.of(*kind).counts.created).sum();
    let report = run("memory-created-pinned")?;
    let dropped = report.health.dropped()?;
    let created = report.totals.inflater.counts.created;
    ensure!(created == 0 && dropped == whole && !report.health.ok, {
        format!(
            "{whole} were made; {created} in the report, {dropped} dropped: {:?}",
            report.health
        )
    });
    Ok(())
}

fn ensure_unharmed(ended: &Ended, bare: &Outcome) -> Result<()> {
    ensure!(ended.printed() == bare.printed, "stdout differs\n{bare}\n{ended}");
    ensure!(ended.code() == bare.code, "exit codes differ\n{bare}\n{ended}");
    let stderr = ended.stderr();
    ensure!(!stderr.contains("memory allocation of") && !stderr.contains("internal error"), {
        ended.to_string()
    });
    Ok(())
}

/// Whether what is in it adds up, also where something is missing.
fn ensure_adds_up(report: &Report) -> Result<()> {
    for kind in Kind::ALL {
        let total = &report.totals.of(kind).counts;
        ensure!(total.created == total.ended + total.late + total.collected + total.live, {
            format!("{total:?}")
        });
    }
    Ok(())
}

/// A report of very many deep stacks does not need the memory that they take.
fn limited(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("ManyStacks")?;
    // A report with all of their frames takes more than the limit: some 100 MB, in a list that
    // doubles.
    let args = ["2048", "220"];
    let jvm = || -> Result<Jvm> { Ok(Jvm::new(jdk, fixture)?.flags(["-Xmx128m"]).args(&args)) };
    let bare = jvm()?.run()?.into();
    let mut running = jvm()?.agent(&env.library, "file=r.json").spawn()?;
    running.wait_for("ready")?;
    let zaudit = Zaudit::ready(env)?;
    // What an attach needs once (its thread, its socket) is there before the limit.
    zaudit.ask("status", running.pid(), &[])?.done()?;
    limit_address_space(running.pid(), 150 << 20)?;
    for format in Format::ALL.map(Format::name) {
        let file = running.dir().join(format!("dump.{format}"));
        let words = ["--format", format, "--output", file.to_str().ok_or("a plain path")?];
        zaudit.ask("dump", running.pid(), &words)?.done()?;
        let size = std::fs::metadata(&file).map_err(|error| format!("{format}: {error}"))?.len();
        ensure!(size < 16 << 20, "{format}: {size} bytes");
    }
    let report = Report::parse(
        &std::fs::read_to_string(running.dir().join("dump.json")).unwrap_or_default(),
    )?;
    let inflaters = &report.totals.inflater.counts;
    // JDK 8 keeps a few of its own.
    ensure!(inflaters.ended >= 2_048 && inflaters.late + inflaters.collected == 0, {
        format!("{inflaters:?}")
    });
    running.say("")?;
    running.close();
    ensure_unharmed(&running.finish()?, &bare)
}

/// From now on a process gets so much more address space than it has, and no more.
fn limit_address_space(pid: u32, more: u64) -> Result<()> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|error| error.to_string())?;
    let size = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:")?.split_whitespace().next()?.parse().ok());
    let size: u64 = size.ok_or("no VmSize")?;
    let limit = format!("--as={}", size * 1_024 + more);
    Said::of(Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]))?.done().map(drop)
}

/// The file does not grow with stacks that end all that they make, and the totals still have them.
fn clean_stacks(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("ManyStacks")?;
    let ended = Jvm::new(jdk, fixture)?.args(&["8192", "14"]).audited(&env.library, "").run()?;
    let report = ended.report()?;
    let others = report.other_sites.inflater.as_ref().ok_or("no other sites")?;
    let listed = report.sites.iter().filter(|site| site.is_of("ManyStacks")).count() as u64;
    ensure!(listed <= 1_000 && listed + others.sites >= 8_192, "{listed} and {others:?}");
    let size =
        std::fs::metadata(ended.dir().join("r.json")).map_err(|error| error.to_string())?.len();
    ensure!(size < 2 << 20, "{size} bytes");
    let total = &report.totals.inflater.counts;
    ensure!(total.created >= 2 * 8_192 && total.created == total.ended + total.live, "{total:?}");
    Ok(())
}

/// Beyond the option `memory` stacks share a site. They are counted to the unit, and so are their
/// instances.
fn budget(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    const STACKS: u64 = 8_192;
    let fixture = env.fixture("ManyStacks")?;
    let run = |options: &str| -> Result<Report> {
        let jvm = Jvm::new(jdk, fixture)?.args(&[&STACKS.to_string(), "14"]);
        jvm.audited(&env.library, options).run()?.unhealthy_report()
    };
    let sites = |report: &Report| {
        let others = report.other_sites.inflater.as_ref().map_or(0, |others| others.sites);
        report.sites.len() as u64 + others
    };
    let overflowed = |report: &Report| {
        let number = report.health.details.get("overflowed_stacks").and_then(Value::as_u64);
        number.ok_or("no overflowed_stacks")
    };
    let (all, few) = (run("memory=64m")?, run("memory=1m")?);
    let lost = overflowed(&all)?;
    ensure!(lost == 0 && sites(&all) > STACKS, "{lost} of {} sites", sites(&all));
    let lost = overflowed(&few)?;
    ensure!(sites(&few) < STACKS / 2 && lost + sites(&few) >= STACKS, {
        format!("{lost} beside {} sites", sites(&few))
    });
    // JDK 8 makes some of its own, whose number varies.
    let (all, few) = (&all.totals.inflater.counts, &few.totals.inflater.counts);
    ensure!(few.created == few.ended + few.live && few.created.abs_diff(all.created) < 50, {
        format!("{few:?} against {all:?}")
    });
    Ok(())
}
