//! Snapshots of `interval`: whole whenever the process is killed, private, counted, named, and no
//! more than are wanted.
//!
//! Disks and folders that fail are [`crate::storage`]'s. Invariant: moments are chosen by chance,
//! and the same chance can be had again: a test that fails names its seed.

use super::{ensure_messages, ensure_refused, listed, newer, read, write};
use fastrand::Rng;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};
use zaudit_tests::Result;
use zaudit_tests::child::{Ended, Running};
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Report, Trigger};
use zaudit_tests::suite::{TestEnv, rounds};

/// Another seed in each run, or the one in `ZAUDIT_SEED`.
fn random() -> Rng {
    let seed = std::env::var("ZAUDIT_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or_else(Rng::new, Rng::with_seed)
}

/// A time by chance, to the microsecond.
fn millis(rng: &mut Rng, below: u64) -> Duration {
    Duration::from_micros(rng.u64(..below * 1_000))
}

fn busy(env: &TestEnv, jdk: &Jdk, options: &str) -> Result<Jvm> {
    let jvm = Jvm::new(jdk, env.fixture("BusySites")?)?.flags(["-Xmx64m"]);
    Ok(jvm.audited(&env.library, options))
}

/// Killed with no warning, at any moment: what is in the file is whole, and no other user may read
/// it.
pub(super) fn killed(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let rounds = rounds(10)?;
    let mut rng = random();
    let seed = rng.get_seed();
    let mut found = 0;
    for round in 0..rounds {
        let left = kill(env, jdk, round % 5 == 0, &mut rng);
        found +=
            u32::from(left.map_err(|why| format!("ZAUDIT_SEED={seed}, round {round}: {why}"))?);
    }
    ensure!(found * 2 > rounds, "only {found} of {rounds} left a snapshot: nothing was tried");
    Ok(())
}

/// Kills one, while it starts or later. Whether it left a snapshot.
fn kill(env: &TestEnv, jdk: &Jdk, starting: bool, rng: &mut Rng) -> Result<bool> {
    let mut running = busy(env, jdk, "interval=100ms")?.spawn()?;
    let file = running.dir().join("r.json");
    if !starting {
        running.wait_for("ready")?;
        running.wait_for_file("r.json")?;
    }
    // Until then the file is read by somebody who does not care that it is being written.
    let moment = Instant::now() + millis(rng, 400);
    let mut seen = String::new();
    while Instant::now() < moment {
        let text = if file.exists() { read(&file)? } else { String::new() };
        if text != seen {
            Report::parse(&text).map_err(|why| format!("read while it runs: {why}"))?;
            seen = text;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = running.pid();
    running.signal("KILL")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 137, "killed: {ended}");
    // A temporary file may be left, as private as the report.
    let names = listed(ended.dir())?;
    for name in &names {
        let temporary = name.starts_with(".zaudit-") && name.ends_with(".tmp");
        ensure!(name == "r.json" || temporary, "{names:?}\n{ended}");
        ensure_private(&ended.dir().join(name))?;
    }
    if !file.exists() {
        return Ok(false);
    }
    let process = ended.report()?.process;
    ensure!(process.pid == pid && process.trigger == Trigger::Interval, "{process:?}");
    ensure!(process.number.is_none(), "one file has no number: {process:?}");
    Ok(true)
}

fn ensure_private(path: &Path) -> Result<()> {
    let found =
        fs::symlink_metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mode = found.permissions().mode() & 0o7777;
    ensure!(found.is_file() && mode == 0o600, "{}: {found:?}, mode {mode:o}", path.display());
    Ok(())
}

/// Neither a link in the report's place nor one that has the name of a temporary file is written
/// through.
pub(super) fn link_is_replaced(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    // A shell's process id is that of the JVM into which it turns.
    let trap = "umask 0; ln -s precious .r.json.$$.tmp";
    for target in ["precious", "missing"] {
        let jvm = busy(env, jdk, "interval=100ms")?.after(trap);
        let (precious, link) = (jvm.dir().join("precious"), jvm.dir().join("r.json"));
        write(&precious, "precious")?;
        symlink(target, &link).map_err(|error| error.to_string())?;
        let mut running = jvm.spawn()?;
        let trapped = format!(".r.json.{}.tmp", running.pid());
        running.wait_for("ready")?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while fs::symlink_metadata(&link).is_ok_and(|found| found.is_symlink()) {
            ensure!(Instant::now() < deadline, "the link stays");
            std::thread::sleep(Duration::from_millis(5));
        }
        let snapshot = running.wait_for_report("r.json")?;
        ensure!(snapshot.process.trigger == Trigger::Interval, "{:?}", snapshot.process);
        ensure_private(&link)?;
        running.close();
        let ended = running.finish()?;
        ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
        let mut names = listed(ended.dir())?;
        names.retain(|name| *name != trapped);
        ensure!(names == ["precious", "r.json"], "{:?}", listed(ended.dir()));
        let stays =
            fs::symlink_metadata(ended.dir().join(&trapped)).is_ok_and(|found| found.is_symlink());
        ensure!(stays, "a link that is not the agent's was removed");
        ensure!(read(&precious)? == "precious", "it was written through a link");
        ensure_private(&link)?;
        ended.report()?;
    }
    Ok(())
}

/// `max_snapshots=3`: the three newest, in a row, the last report beside them, and every file of
/// others.
pub(super) fn newest_are_kept(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = busy(env, jdk, "interval=100ms,max_snapshots=3")?;
    let foreign = ["r.0.json", "r.1.json.bak", "r.999999.json", "r.x.json", "s.1.json"];
    for name in foreign {
        write(&jvm.dir().join(name), "somebody else's")?;
    }
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    running.wait_for_file("r.9.json")?;
    running.close();
    let ended = running.finish()?;
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
    for name in foreign {
        let text = read(&ended.dir().join(name))?;
        ensure!(text == "somebody else's", "{name} was written to: {text}");
    }
    let names = listed(ended.dir())?;
    let mut numbers = Vec::new();
    for name in names.iter().filter(|name| !foreign.contains(&name.as_str()) && *name != "r.json") {
        let number =
            name.strip_prefix("r.").and_then(|rest| rest.strip_suffix(".json")?.parse().ok());
        numbers.push(number.ok_or_else(|| format!("whose file is {name}? {names:?}"))?);
    }
    numbers.sort_unstable();
    let newest = numbers.last().copied().unwrap_or_default();
    ensure!(newest >= 9 && numbers == [newest - 2, newest - 1, newest], "{names:?}");
    let mut before = 0.0;
    for number in numbers {
        let process = ended.report_in(&format!("r.{number}.json"))?.process;
        ensure!(process.number == Some(number), "r.{number}.json: {process:?}");
        ensure!(process.trigger == Trigger::Interval && process.armed_seconds > before, {
            format!("{process:?}")
        });
        before = process.armed_seconds;
    }
    let last = ended.report()?.process;
    ensure!(last.trigger == Trigger::Exit && last.armed_seconds > before, "{last:?}");
    Ok(())
}

/// Host, process, number and time in the name, and a percent sign; two are kept, and the last
/// report is number 0.
pub(super) fn names(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("BusySites")?)?.flags(["-Xmx64m"]);
    let options = "interval=100ms,max_snapshots=2,format=json,file=%%-%h-%p-%n-%t.json";
    let mut running = jvm.agent(&env.library, options).spawn()?;
    let pid = running.pid();
    running.wait_for("ready")?;
    let host = read(Path::new("/proc/sys/kernel/hostname"))?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
    let begins = format!("%-{}-{pid}-", host.trim().chars().map(plain).collect::<String>());
    let deadline = Instant::now() + Duration::from_secs(60);
    let number = |name: &String| name.strip_prefix(&begins)?.split_once('-')?.0.parse::<u32>().ok();
    // On a busy machine the fifth is deleted before anybody looks.
    while !listed(running.dir())?.iter().filter_map(number).any(|number| number >= 5) {
        ensure!(Instant::now() < deadline, "no fifth snapshot in {:?}", listed(running.dir()));
        std::thread::sleep(Duration::from_millis(5));
    }
    running.close();
    let ended = running.finish()?;
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
    let names = listed(ended.dir())?;
    let mut numbers = Vec::new();
    for name in &names {
        let (number, process) = named(&ended, name, &begins)?;
        ensure!(process.number.unwrap_or(0) == number, "{name}: {process:?}");
        numbers.push(number);
    }
    numbers.sort_unstable();
    let newest = numbers.last().copied().unwrap_or_default();
    ensure!(newest >= 5 && numbers == [0, newest - 1, newest], "{names:?}");
    Ok(())
}

/// The number in a file's name, and the report in it, whose time is the name's.
fn named(ended: &Ended, name: &str, begins: &str) -> Result<(u32, zaudit_tests::report::Process)> {
    let odd = || format!("{name} is no {begins}NUMBER-TIME.json");
    let rest =
        name.strip_prefix(begins).and_then(|rest| rest.strip_suffix(".json")).ok_or_else(odd)?;
    let (number, time) = rest.split_once('-').ok_or_else(odd)?;
    let process = ended.report_in(name)?.process;
    let expected = std::process::Command::new("date")
        .args(["-u", &format!("-d@{}", process.taken.floor()), "+%Y%m%d-%H%M%S"])
        .output()
        .map_err(|error| format!("date: {error}"))?;
    let expected = String::from_utf8_lossy(&expected.stdout).trim().to_owned();
    ensure!(time == expected, "{name}: {time} is not {expected}");
    Ok((number.parse().map_err(|_| odd())?, process))
}

/// The JVM goes down while one snapshot comes after the other: the last report is the one that
/// stays.
pub(super) fn snapshot_while_it_ends(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let mut rng = random();
    let seed = rng.get_seed();
    for round in 0..6 {
        let mut running = busy(env, jdk, "interval=100ms")?.args(&["exit"]).spawn()?;
        running.wait_for("ready")?;
        running.wait_for_file("r.json")?;
        // A moment by chance, between two snapshots or in one.
        std::thread::sleep(millis(&mut rng, 150));
        running.close();
        let ended = running.finish()?;
        let why = || format!("ZAUDIT_SEED={seed}, round {round}: {ended}");
        ensure!(
            ended.code() == 7 && ended.stderr().is_empty() && ended.printed() == "ready\n",
            why()
        );
        ensure!(listed(ended.dir())? == ["r.json"], "{:?}\n{}", listed(ended.dir()), why());
        let process = ended.report()?.process;
        ensure!(process.trigger == Trigger::Exit, "{process:?}\n{}", why());
    }
    Ok(())
}

const NO_FILE: &str = "zaudit: interval needs the option file; no snapshots will be written";

pub(super) fn interval_without_a_file(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("NeverEnded")?)?;
    let ended = jvm.agent(&env.library, "gc,interval=100ms").run()?;
    ensure_messages(&ended, &[NO_FILE])?;
    ensure!(
        ended.code() == 0 && ended.stderr().contains("SUMMARY: zaudit: LEAK"),
        ended.to_string()
    );
    Ok(())
}

pub(super) fn interval_without_a_file_is_strict(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("NeverEnded")?)?;
    let ended = jvm.agent(&env.library, "interval=100ms,strict").run()?;
    ensure_refused(&ended, &[NO_FILE])
}

/// A program that waits, with snapshots in the file `name`, once there is the first.
pub(super) fn with_snapshots(jvm: Jvm, name: &str) -> Result<(Running, Report)> {
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    let first = newer(&mut running, name, 0.0)?;
    Ok((running, first))
}
