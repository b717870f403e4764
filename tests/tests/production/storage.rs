//! A disk that fills up and a folder that goes away under a running audit, and both come back.
//!
//! Invariant: the disk is a small real one, mounted for the test; where that is not allowed the
//! test says that it was skipped.

use super::snapshots::with_snapshots;
use super::{listed, newer, read};
use libtest_mimic::Trial;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zaudit_tests::child::{Ended, Running};
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Report, Trigger};
use zaudit_tests::suite::{Need, TestEnv, ensure_counts, per_jdk_needing};
use zaudit_tests::{Result, target_dir};

/// A mounted disk of 64 KiB.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "zaudit-test"]).arg(folder);
        let output = mount.output().map_err(|error| format!("mount: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "mount: {}", said.trim());
        Ok(Self(folder.into()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Not needed by anybody any more; a process that still has it open keeps it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

/// A case for each JDK, which needs a disk that can be mounted here.
pub(super) fn full_disk(env: &TestEnv) -> Vec<Trial> {
    let probe = Disk::mount(&target_dir().join(format!("disk-{}", std::process::id())));
    let needs = [Need::Other("a disk to mount", probe.map(drop))];
    per_jdk_needing(env, [("full_disk", needs, fills_up)])
}

fn garbage(env: &TestEnv, jdk: &Jdk, file: &Path) -> Result<Jvm> {
    let options = format!("interval=100ms,format=json,file={}", file.display());
    Ok(Jvm::new(jdk, env.fixture("Garbage")?)?.agent(&env.library, options))
}

/// Twice full, twice with room again: a line each time, and the snapshot before is not touched.
fn fills_up(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let folder = target_dir().join(format!("disk-{}-jdk{}", std::process::id(), jdk.major));
    let disk = Disk::mount(&folder)?;
    let file = disk.0.join("r.json");
    let name = file.to_string_lossy().into_owned();
    let (mut running, mut before) = with_snapshots(garbage(env, jdk, &file)?, &name)?;
    for _ in 0..2 {
        fill(&disk.0, &mut running)?;
        let kept = read(&file)?;
        before = Report::parse(&kept)
            .map_err(|why| format!("the snapshot before is not whole: {why}"))?;
        tried_again(&disk.0, 3)?;
        ensure_no_rests(&disk.0)?;
        ensure!(read(&file)? == kept, "what could not be written took the place of what was there");
        fs::remove_file(disk.0.join("filler")).map_err(|error| error.to_string())?;
        before = newer(&mut running, &name, before.process.taken)?;
        ensure!(before.process.trigger == Trigger::Interval, "{:?}", before.process);
    }
    let ended = ends_well(env, jdk, running, &file, 2, "No space left on device")?;
    ensure!(listed(&disk.0)? == ["r.json"], "{:?}\n{ended}", listed(&disk.0));
    let age = before.process.armed_seconds;
    ensure!(ended.report_in(&name)?.process.armed_seconds > age, ended.to_string());
    Ok(())
}

/// Writes to the disk until a snapshot has failed: one that is written meanwhile makes room by what
/// it replaces.
fn fill(disk: &Path, running: &mut Running) -> Result<()> {
    let mut filler = File::create(disk.join("filler")).map_err(|error| error.to_string())?;
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !enough.load(Ordering::Relaxed) {
                if filler.write(&[0; 4_096]).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let waited = running.wait_for_stderr("cannot write");
        enough.store(true, Ordering::Relaxed);
        waited
    })
}

/// Waits until the agent has begun or dropped a file in `folder` this often again, which shows in
/// the folder's own time.
fn tried_again(folder: &Path, times: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let changed = || fs::metadata(folder).map(|found| (found.mtime(), found.mtime_nsec()));
    let mut seen = Vec::new();
    while seen.len() <= 2 * times {
        let now = changed().map_err(|error| error.to_string())?;
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        ensure!(Instant::now() < deadline, "it does not try again: {seen:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Most of the time no half file takes up what room there is.
fn ensure_no_rests(folder: &Path) -> Result<()> {
    let mut rests = 0;
    for _ in 0..50 {
        rests += usize::from(listed(folder)?.iter().any(|name| name.ends_with(".tmp")));
        std::thread::sleep(Duration::from_millis(5));
    }
    ensure!(rests < 25, "{rests} times of 50 there was a temporary file: {:?}", listed(folder));
    Ok(())
}

/// Lets the program end: it did not notice, the agent wrote this number of lines, and the last
/// report is right.
fn ends_well(
    env: &TestEnv,
    jdk: &Jdk,
    mut running: Running,
    file: &Path,
    lines: usize,
    reason: &str,
) -> Result<Ended> {
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 0 && ended.printed() == "ready\ndone\n", ended.to_string());
    let line = format!(
        "zaudit: cannot write {}: {reason}; earlier snapshots stay, and the next interval tries again\n",
        file.display()
    );
    ensure!(ended.stderr() == line.repeat(lines), "{lines} times expected: {line}{ended}");
    let report = ended.report_in(&file.to_string_lossy())?;
    ensure!(report.process.trigger == Trigger::Exit, "{:?}", report.process);
    let fixture = env.fixture("Garbage")?;
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)?;
    Ok(ended)
}

/// Somebody clears the folder away, and makes it anew.
pub(super) fn folder_comes_and_goes(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let place = Jvm::new(jdk, env.fixture("Garbage")?)?;
    let folder = place.dir().join("reports");
    fs::create_dir(&folder).map_err(|error| error.to_string())?;
    let file = folder.join("r.json");
    let name = file.to_string_lossy().into_owned();
    let (mut running, mut before) = with_snapshots(garbage(env, jdk, &file)?, &name)?;
    for round in 0..2 {
        let gone = place.dir().join(format!("gone-{round}"));
        fs::rename(&folder, &gone).map_err(|error| error.to_string())?;
        running.wait_for_stderr("cannot write")?;
        // Time for some more, of which nothing is to be heard.
        std::thread::sleep(Duration::from_millis(450));
        let kept = Report::parse(&read(&gone.join("r.json"))?)?;
        ensure!(kept.process.armed_seconds >= before.process.armed_seconds, "{:?}", kept.process);
        fs::create_dir(&folder).map_err(|error| error.to_string())?;
        before = newer(&mut running, &name, kept.process.taken)?;
    }
    ends_well(env, jdk, running, &file, 2, "No such file or directory").map(drop)
}
