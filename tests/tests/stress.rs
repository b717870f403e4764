//! Programs that do everything at once: races of `end()` for addresses that are used again at once,
//! reports under load, threads by the thousand, constructors that throw, a Cleaner that is blocked,
//! other allocators, forks, very many live instances.
//!
//! Invariant: each program counts what it does, and the report has the same numbers, to the unit.
//! `ZAUDIT_ROUNDS` repeats what can go wrong by chance.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use zaudit_tests::child::{Ended, Running};
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Counts, Kind, Report, Trigger};
use zaudit_tests::suite::{self, Need, TestEnv, per_jdk_needing, rounds};
use zaudit_tests::{Result, agent, publish};

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

const ANY: &[Need] = &[];

const TESTS: [(&str, &[Need], Test); 11] = [
    ("ends_that_race", ANY, ends_that_race),
    ("reports_under_load", ANY, reports_under_load),
    ("threads_by_the_thousand", ANY, threads_by_the_thousand),
    ("constructors_that_throw", ANY, constructors_that_throw),
    // Before JDK 9 nothing is allocated behind the native stream.
    ("heap_that_runs_out", &[Need::since(9)], heap_that_runs_out),
    ("cleaner_that_is_blocked", ANY, cleaner_that_is_blocked),
    ("forks", ANY, forks),
    ("very_many_live", ANY, very_many_live),
    ("very_deep_stacks", ANY, very_deep_stacks),
    ("known_stack_interpreted", ANY, known_stack_interpreted),
    ("known_stack_compiled", ANY, known_stack_compiled),
];

/// The allocators that a process may have instead of the C library's, and their packages.
const ALLOCATORS: [(&str, &str); 2] =
    [("libjemalloc.so.2", "libjemalloc2"), ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4")];

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials = env.missing();
        trials.extend(suite::table(env, per_jdk_needing(env, TESTS))?);
        let allocators = ALLOCATORS.map(|(library, package)| {
            let found = allocator(library, package);
            let need = [Need::Other(library, found.clone().map(drop))];
            let test = move |env: &TestEnv, jdk: &Jdk| under(env, jdk, &found.clone()?);
            (format!("under_{package}"), need, test)
        });
        trials.extend(suite::table(env, per_jdk_needing(env, allocators))?);
        Ok(trials)
    })
}

/// What the program has counted: for each kind created, ended, not ended, and ended again.
fn counted(ended: &Ended) -> Result<[(Kind, [u64; 4]); 2]> {
    let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
    let numbers = |kind: Kind| {
        let line = stdout.lines().find_map(|line| line.strip_prefix(&format!("{kind} ")));
        let numbers: Vec<u64> =
            line.unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
        <[u64; 4]>::try_from(numbers).map_err(|_| format!("no counts of {kind}s: {ended}"))
    };
    Ok([(Kind::Inflater, numbers(Kind::Inflater)?), (Kind::Deflater, numbers(Kind::Deflater)?)])
}

/// What the sites of the program `name` have, and how often its method `again` has ended one again.
fn reported(report: &Report, name: &str, kind: Kind) -> (Counts, u64) {
    let frame = format!("{name}.again");
    let again = report.ended_again.iter().filter(|end| end.kind == kind);
    let again = again.filter(|end| end.frame.to_string() == frame).map(|end| end.times);
    (report.sum(kind, |site| site.is_of(name)), again.sum())
}

/// The program has ended well, and neither JVM nor agent has complained.
fn ensure_unharmed(ended: &Ended) -> Result<()> {
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
    Ok(())
}

/// The report has what the program has counted, and all that was not ended is live.
fn ensure_counted(ended: &Ended, report: &Report, name: &str) -> Result<()> {
    for (kind, [created, by_end, live, again]) in counted(ended)? {
        let right = Counts { created, ended: by_end, live, ..Counts::default() };
        let found = reported(report, name, kind);
        ensure!(found == (right.clone(), again), {
            format!("{kind}: {right:?} and {again} again, and not {found:?}: {ended}")
        });
    }
    Ok(())
}

/// Runs the fixture with these arguments, and compares the report with what it has counted.
fn exact(env: &TestEnv, jdk: &Jdk, name: &str, args: &[&str]) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture(name)?)?.args(args);
    let ended = jvm.audited(&env.library, "").run()?;
    ensure_unharmed(&ended)?;
    ensure_counted(&ended, &ended.report()?, name)
}

/// Two threads, and then four, end the same at the same moment, and the address is used again. How
/// many of these calls count as double ends is left open: one that waits for the lock that another
/// holds has begun before the end.
fn ends_that_race(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for round in 1..=rounds(1)? {
        for args in [["80000", "2"], ["20000", "4"]] {
            exact(env, jdk, "EndsRaceReuse", &args).map_err(|why| format!("{round}: {why}"))?;
        }
    }
    Ok(())
}

/// Both kinds of signals, every 10 ms: each report adds up, which reading it checks, no count goes
/// back, and the last one has what the program says that it created.
fn reports_under_load(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("Churning")?)?.args(&["count"]).audited(&env.library, "");
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    let begun = Instant::now();
    let lasting = Duration::from_millis(u64::from(rounds(1_500)?));
    for number in 0.. {
        if begun.elapsed() > lasting {
            break;
        }
        send(&running, if number % 2 == 0 { libc::SIGUSR1 } else { libc::SIGQUIT })?;
        std::thread::sleep(Duration::from_millis(10));
    }
    running.close();
    let ended = running.finish()?;
    ensure_unharmed(&ended)?;
    let reports = numbered(ended.dir())?;
    ensure!(reports.len() >= 10, "only {} reports: {ended}", reports.len());
    let mut before = Counts::default();
    for (number, report) in &reports {
        let now = reported(report, "Churning", Kind::Inflater).0;
        let behind = now.created < before.created || now.ended < before.ended;
        ensure!(!behind, "report {number}: {before:?}, and then {now:?}");
        let trigger = report.process.trigger;
        ensure!(matches!(trigger, Trigger::Signal | Trigger::DataDump), "{trigger:?}");
        before = now;
    }
    println!("{} reports", reports.len());
    let printed = ended.printed();
    let made = printed.lines().find_map(|line| line.strip_prefix("made ")?.parse().ok());
    let made: u64 = made.ok_or_else(|| ended.to_string())?;
    let last = ended.report()?;
    for kind in [Kind::Inflater, Kind::Deflater] {
        let created = reported(&last, "Churning", kind).0.created;
        ensure!(created == made, "{made} {kind}s were created, and {created} are counted");
    }
    Ok(())
}

fn send(running: &Running, signal: i32) -> Result<()> {
    let pid = i32::try_from(running.pid()).map_err(|error| error.to_string())?;
    // SAFETY: kill takes numbers. The child is not waited for yet: the number is no other's.
    let sent = unsafe { libc::kill(pid, signal) } == 0;
    ensure!(sent, "no signal: {}", std::io::Error::last_os_error());
    Ok(())
}

/// The reports on demand in a folder, by number.
fn numbered(folder: &Path) -> Result<BTreeMap<u32, Report>> {
    let mut reports = BTreeMap::new();
    for file in fs::read_dir(folder).map_err(|error| error.to_string())?.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix("r.").and_then(|rest| rest.strip_suffix(".json"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            let text = fs::read_to_string(file.path()).map_err(|error| error.to_string())?;
            reports.insert(number, Report::parse(&text).map_err(|why| format!("{name}: {why}"))?);
        }
    }
    Ok(reports)
}

/// A thousand at the same time, and five thousand that end soon: their slots are used again.
fn threads_by_the_thousand(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for _ in 0..rounds(1)? {
        exact(env, jdk, "ThreadChurn", &["1000", "5000"])?;
    }
    Ok(())
}

/// Whether it throws or not: there is a native stream, and so it is counted.
fn constructors_that_throw(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let name = "ConstructorsThrow";
    let jvm = Jvm::new(jdk, env.fixture(name)?)?.args(&["3000"]);
    let ended = jvm.audited(&env.library, "gc").run()?;
    ensure_unharmed(&ended)?;
    let report = ended.report()?;
    for (kind, [created, by_end, live, _]) in counted(&ended)? {
        let rest = created - by_end - live;
        let (late, collected) = if jdk.major == 8 { (rest, 0) } else { (0, rest) };
        let right = Counts { created, ended: by_end, late, collected, live, ..Counts::default() };
        let (found, _) = reported(&report, name, kind);
        ensure!(found == right && rest > 0, "{kind}: {right:?}, and not {found:?}: {ended}");
    }
    Ok(())
}

/// The constructor of the stream's owner has no memory for the Cleaner's entry: no one will ever
/// free that native stream, also after a forced GC.
fn heap_that_runs_out(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let name = "HeapRunsOut";
    let flags = ["-Xmx8m", "-XX:+UseSerialGC", "-XX:-UseTLAB", "-Xint"];
    let mut leaked = 0;
    // Objects of 24 bytes. What a constructor allocates behind the native stream takes some 70
    // bytes, and all of it less than 200: one of these ends there.
    for free in ["0", "2", "4", "6", "8"] {
        let jvm = Jvm::new(jdk, env.fixture(name)?)?.flags(flags).args(&[free]);
        let ended = jvm.audited(&env.library, "gc").run()?;
        ensure_unharmed(&ended)?;
        ensure_counted(&ended, &ended.report()?, name)?;
        leaked += counted(&ended)?[0].1[2];
    }
    println!("{leaked} leaked");
    ensure!(leaked > 0, "the heap has never run out at the right time");
    Ok(())
}

/// What the Cleaner never comes to is live; the report does not wait for it for ever, and says so.
fn cleaner_that_is_blocked(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    // JDK 8 has finalizers instead.
    let name = if jdk.major == 8 { "BlockedFinalizer" } else { "BlockedCommonCleaner" };
    let fixture = env.fixture(name)?;
    let begun = Instant::now();
    let ended = Jvm::new(jdk, fixture)?.audited(&env.library, "gc,gc_timeout=300ms").run()?;
    // This asserts that there is a bound, on a machine that may be busy; it measures nothing.
    ensure!(begun.elapsed() < Duration::from_secs(30), "{:?}: {ended}", begun.elapsed());
    ensure_unharmed(&ended)?;
    let report = ended.unhealthy_report()?;
    let (counts, _) = reported(&report, name, Kind::Inflater);
    // Some finalizers of JDK 8 come before the one that blocks.
    let early = if jdk.major == 8 { counts.late } else { 0 };
    let right = Counts { created: 20, late: early, live: 20 - early, ..Counts::default() };
    ensure!(counts == right && early < 20, "{right:?}, and not {counts:?}");
    let unsettled = report.health.details.get("unsettled").and_then(|why| why.as_str());
    ensure!(!report.health.ok && unsettled.is_some_and(|why| why.contains("gc_timeout")), {
        format!("not a word about the wait: {unsettled:?}")
    });
    let wrong = report.check().err().unwrap_or_default();
    ensure!(wrong.len() == 1, "only health is to be wrong: {wrong:#?}");
    Ok(())
}

/// Children that are copies of the whole process until they become another program.
fn forks(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let name = "Forking";
    let jvm = Jvm::new(jdk, env.fixture(name)?)?.flags(["-Djdk.lang.Process.launchMechanism=FORK"]);
    let ended = jvm.args(&["40"]).audited(&env.library, "").run()?;
    ensure_unharmed(&ended)?;
    ensure!(ended.printed().ends_with("children 40\n"), ended.to_string());
    ensure_counted(&ended, &ended.report()?, name)
}

/// The most that a live instance may cost, in bytes, and what the process may grow by otherwise.
const COST: u64 = 200;
const NOISE: u64 = 4 << 20;

/// The report is exact, and the process grows by little more than without the agent.
fn very_many_live(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    // One after the other: each asks how much memory there is.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = "ManyLive";
    // 50,000 take some 400 MB.
    let many: u64 = if available()? > 2 << 30 { 50_000 } else { 20_000 };
    let flags = ["-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-Xint"];
    let jvm = || -> Result<Jvm> { Ok(Jvm::new(jdk, env.fixture(name)?)?.flags(flags)) };
    let (bare, _) = growth(jvm()?, many)?;
    let (audited, ended) = growth(jvm()?.audited(&env.library, ""), many)?;
    ensure_unharmed(&ended)?;
    ensure_counted(&ended, &ended.report()?, name)?;
    println!("{many} live: {bare} bytes, audited {audited}");
    ensure!(audited < bare + COST * many + NOISE, "{many} live: {bare} bytes, audited {audited}");
    Ok(())
}

/// GetStackTrace takes 5 to 9 KB for each frame that it passes, which would be some 400 MB.
fn very_deep_stacks(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    const MOST: u64 = 64 << 20;
    let fixture = env.fixture("ThreadsDeep")?;
    let peak = |jvm: Jvm| -> Result<(u64, Ended)> {
        let mut running = jvm.spawn()?;
        running.wait_for("ready")?;
        let peak = kilobytes(&format!("/proc/{}/status", running.pid()), "VmHWM:")? << 10;
        running.close();
        Ok((peak, running.finish()?))
    };
    let (bare, _) = peak(Jvm::new(jdk, fixture)?)?;
    let (audited, ended) = peak(Jvm::new(jdk, fixture)?.audited(&env.library, ""))?;
    ensure_unharmed(&ended)?;
    suite::ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)?;
    ensure!(audited < bare + MOST, "{bare} bytes without the agent, {audited} with it");
    Ok(())
}

/// By how many bytes the process grows, which has a thousand already.
fn growth(jvm: Jvm, many: u64) -> Result<(u64, Ended)> {
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    let mut sizes = [0; 2];
    for (number, size) in [1_000, many].into_iter().zip(&mut sizes) {
        running.say(&number.to_string())?;
        running.wait_for(&format!("made {number}"))?;
        *size = kilobytes(&format!("/proc/{}/status", running.pid()), "VmRSS:")?;
    }
    running.close();
    Ok((sizes[1].saturating_sub(sizes[0]) << 10, running.finish()?))
}

/// Bytes that programs may have now.
fn available() -> Result<u64> {
    Ok(kilobytes("/proc/meminfo", "MemAvailable:")? << 10)
}

/// The number on the line that begins so.
fn kilobytes(path: &str, begin: &str) -> Result<u64> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(begin));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{path}: no {begin}"))
}

/// How many are created and ended where allocations are counted.
const LIVES: u64 = 100_000;

/// Of the stacks that the walk knows, one in this number is compared with the JVM's, which
/// allocates.
const SPOT_CHECK: u64 = 4_096;

/// The number of stacks with each kind of frame that are compared before the walk is trusted.
const ENOUGH: u64 = 24;

/// In the interpreter a stack looks always the same. The first hooks learn thread and stack.
fn known_stack_interpreted(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    ensure_few_leave(env, jdk, "-Xint", ENOUGH + 10)
}

/// The same stack has other addresses, and frames of other kinds, whenever its code was compiled.
fn known_stack_compiled(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    ensure_few_leave(env, jdk, "-Xbatch", 5 * ENOUGH + 10)
}

/// Of two hooks for each life, only the spot checks and `others` allocate or call the JVM.
fn ensure_few_leave(env: &TestEnv, jdk: &Jdk, flag: &str, others: u64) -> Result<()> {
    let name = "OneSite";
    let jvm = Jvm::new(jdk, env.fixture(name)?)?.flags([flag]).args(&[&LIVES.to_string()]);
    let jvm = jvm.env("ZAUDIT_FAULT", "count-hooks");
    let ended = jvm.audited(&agent::faulty_library()?, "").run()?;
    ensure_counted(&ended, &ended.report()?, name)?;
    let messages = ended.messages().concat();
    println!("{messages}");
    let numbers: Vec<u64> = messages.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [hooks, allocating, calling] = numbers[..] else { return Err(ended.to_string()) };
    ensure!(hooks >= 2 * LIVES && allocating > 0 && calling > 0, "nothing was counted: {ended}");
    ensure!(allocating.max(calling) <= LIVES / SPOT_CHECK + others, messages);
    Ok(())
}

/// The same counts where native streams come from another allocator.
fn under(env: &TestEnv, jdk: &Jdk, library: &Path) -> Result<()> {
    let preload = library.to_str().ok_or("a plain path")?;
    let jvm = |name| -> Result<Jvm> {
        let jvm = Jvm::new(jdk, env.fixture(name)?)?.env("LD_PRELOAD", preload);
        Ok(jvm.audited(&env.library, ""))
    };
    let mut running = jvm("ManyLive")?.spawn()?;
    running.wait_for("ready")?;
    let maps = fs::read_to_string(format!("/proc/{}/maps", running.pid()))
        .map_err(|error| error.to_string())?;
    ensure!(maps.contains("malloc"), "{preload} is not loaded: {maps}");
    running.say("1000")?;
    running.close();
    let mut ended = vec![("ManyLive", running.finish()?)];
    ended.push(("EndsRaceReuse", jvm("EndsRaceReuse")?.args(&["20000", "3"]).run()?));
    ended.push(("ThreadChurn", jvm("ThreadChurn")?.args(&["200", "1000"]).run()?));
    for (name, ended) in ended {
        ensure_unharmed(&ended)?;
        ensure_counted(&ended, &ended.report()?, name)?;
    }
    Ok(())
}

/// An allocator's library, out of its Debian package, once in the cache.
fn allocator(library: &str, package: &str) -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let tools = cache.or_else(home).ok_or("there is no cache folder")?.join("zaudit/tools");
    let folder = tools.join(package);
    if !folder.exists() {
        let fresh = tools.join(format!("{package}-{}.tmp", std::process::id()));
        fs::create_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
        let script = format!(
            "apt-get -q -o APT::Sandbox::User=root download {package} && dpkg-deb -x *.deb . \
             && rm ./*.deb"
        );
        let output = Command::new("sh").args(["-c", &script]).current_dir(&fresh).output();
        let output = output.map_err(|error| format!("sh: {error}"))?;
        if !output.status.success() {
            let _ = fs::remove_dir_all(&fresh);
            return Err(String::from_utf8_lossy(&output.stderr).trim().into());
        }
        publish(&fresh, &folder)?;
    }
    let found = Command::new("find").arg(&folder).args(["-name", library]).output();
    let found = found.map_err(|error| format!("find: {error}"))?.stdout;
    let path = String::from_utf8_lossy(&found).lines().next().map(OsString::from);
    path.map(PathBuf::from).ok_or_else(|| format!("{package} has no {library}"))
}
