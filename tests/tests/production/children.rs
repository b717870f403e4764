//! What processes get from an audited JVM that starts them: no descriptor, no blocked and no
//! ignored signal of the agent's.
//!
//! Invariant: the measure is what children of the bare JVM get.

use super::{newer, read, write};
use std::collections::BTreeSet;
use std::fs;
use zaudit_tests::Result;
use zaudit_tests::child::Running;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::TestEnv;

/// What a child sees of itself. The lists' own descriptors are the shell's in both cases.
const PROBE: &str =
    "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status\nls /proc/self/fd\necho probed\n";

/// Runs the probe once, or with `reports` after each of two reports, too. What came out each time.
fn probed(jvm: Jvm, line: &str, reports: bool) -> Result<Vec<String>> {
    write(&jvm.dir().join("probe.sh"), PROBE)?;
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    running.say(line)?;
    running.wait_for("ended with 0")?;
    for number in (1..=2).filter(|_| reports) {
        running.signal("USR1")?;
        running.wait_for_report(&format!("r.{number}.json"))?;
        running.say(line)?;
        running.wait_for("ended with 0")?;
    }
    running.close();
    let ended = running.finish()?;
    ensure!(ended.code() == 0, ended.to_string());
    let printed = ended.printed();
    let pieces: Vec<String> = printed.split("probed\n").map(String::from).collect();
    let pieces: Vec<String> = pieces.into_iter().filter(|piece| piece.contains("SigIgn")).collect();
    let cut =
        pieces.iter().map(|piece| piece[piece.find("Sig").unwrap_or(0)..].to_owned()).collect();
    Ok(cut)
}

fn ensure_same(env: &TestEnv, jdk: &Jdk, fixture: &str, line: &str) -> Result<()> {
    let jvm = || Jvm::new(jdk, env.fixture(fixture)?);
    let bare = probed(jvm()?, line, false)?;
    let audited = probed(jvm()?.audited(&env.library, "gc,interval=100ms"), line, true)?;
    let [bare] = bare.as_slice() else { return Err(format!("one probe expected: {bare:#?}")) };
    ensure!(bare.contains("SigBlk") && bare.contains("SigIgn"), "nothing was probed: {bare}");
    ensure!(audited.len() == 3, "three probes expected: {audited:#?}");
    let other = audited.iter().find(|probe| *probe != bare);
    ensure!(other.is_none(), "bare:\n{bare}\naudited:\n{}", other.cloned().unwrap_or_default());
    Ok(())
}

/// Through ProcessBuilder, which closes descriptors by itself and leaves signals as they are.
pub(super) fn nothing_is_inherited(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    ensure_same(env, jdk, "Starting", "sh probe.sh")
}

/// Through system(3), which forks and runs a shell and closes nothing.
pub(super) fn nothing_is_inherited_by_system(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    ensure_same(env, jdk, "NativeCode", "sh probe.sh")
}

/// The agent holds no descriptor; the file that it writes just now is closed in every program that
/// the process executes.
pub(super) fn descriptors_close_on_exec(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = || Jvm::new(jdk, env.fixture("Garbage")?);
    let mut bare = jvm()?.spawn()?;
    bare.wait_for("ready")?;
    let (kept, all) = descriptors(&bare)?;
    let mut audited = jvm()?.audited(&env.library, "gc,interval=100ms").spawn()?;
    audited.wait_for("ready")?;
    let (mut taken, mut at_rest) = (0.0, false);
    for _ in 0..3 {
        taken = newer(&mut audited, "r.json", taken)?.process.taken;
        for _ in 0..50 {
            let (kept_now, all_now) = descriptors(&audited)?;
            ensure!(kept_now == kept, "kept: {kept:?} bare, {kept_now:?} audited");
            at_rest |= all_now == all;
        }
    }
    ensure!(at_rest, "more than {all:?} are open all the time: {:?}", descriptors(&audited));
    Ok(())
}

/// The descriptors that stay open in an executed program, and all.
fn descriptors(running: &Running) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let folder = format!("/proc/{}/fdinfo", running.pid());
    let (mut kept, mut all) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))? {
        let entry = entry.map_err(|error| error.to_string())?;
        // One that was open for a moment is gone.
        let Ok(info) = read(&entry.path()) else { continue };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        let name = entry.file_name().to_string_lossy().into_owned();
        if flags.ok_or_else(|| format!("no flags: {info}"))? & CLOSE_ON_EXEC == 0 {
            kept.insert(name.clone());
        }
        all.insert(name);
    }
    Ok((kept, all))
}
