//! A pool that was filled once and a leak that climbs, which snapshots tell apart; and instances
//! that are too young to be judged.
//!
//! Invariant: the leak takes a step after each snapshot, when the test says so, and no clock
//! decides what comes out.

use super::{newer, now, read};
use std::time::{Duration, Instant};
use zaudit_tests::Result;
use zaudit_tests::child::Running;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Kind, Report, Severity, Site, Trigger};
use zaudit_tests::suite::TestEnv;

/// What each step leaks.
const STEP: u64 = 3;
/// What the pool has.
const POOL: u64 = 16;

fn pool_and_leak_jvm(env: &TestEnv, jdk: &Jdk) -> Result<Jvm> {
    Jvm::new(jdk, env.fixture("PoolAndLeak")?)
}

fn leak_a_step(running: &mut Running) -> Result<()> {
    running.say("more")?;
    running.wait_for("leaked")
}

/// The program's one site of this kind.
fn site(report: &Report, kind: Kind) -> Result<&Site> {
    let own: Vec<&Site> =
        report.sites.iter().filter(|site| site.kind == kind && site.is_of("PoolAndLeak")).collect();
    match own.as_slice() {
        [site] => Ok(site),
        others => Err(format!("one site of {kind}s expected: {others:#?}")),
    }
}

/// The pool is flat and the leak grew, in the snapshots and in the last report; both have their
/// points at the same moments.
pub(super) fn pool_and_leak(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = pool_and_leak_jvm(env, jdk)?.audited(&env.library, "interval=100ms");
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    let (mut seconds, mut leaked) = (0.0, 0);
    while seconds < 3.0 || leaked < 16 * STEP {
        let snapshot = newer(&mut running, "r.json", now())?;
        ensure!(snapshot.process.trigger == Trigger::Interval, "{:?}", snapshot.process);
        ensure_points(&snapshot, site(&snapshot, Kind::Inflater)?, POOL)?;
        if leaked > 0 {
            ensure_points(&snapshot, site(&snapshot, Kind::Deflater)?, leaked)?;
        }
        seconds = snapshot.process.armed_seconds;
        leak_a_step(&mut running)?;
        leaked += STEP;
    }
    let snapshot = newer(&mut running, "r.json", now())?;
    ensure_ways(&snapshot, leaked)?;
    running.close();
    let ended = running.finish()?;
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
    let last = ended.report()?;
    ensure!(last.process.trigger == Trigger::Exit, "{:?}", last.process);
    ensure_ways(&last, leaked)
}

/// The points are in order, few, and the newest is what the report says itself.
fn ensure_points(report: &Report, site: &Site, live: u64) -> Result<()> {
    let why = || format!("live {live}, taken {}: {site:#?}", report.process.armed_seconds);
    let points = &site.trend;
    ensure!(points.is_sorted_by(|a, b| a.seconds < b.seconds) && points.len() <= 64, why());
    let newest = points.last().ok_or_else(why)?;
    let late = (newest.seconds - report.process.armed_seconds).abs();
    ensure!(newest.live == live && site.counts.live == live && late < 1e-3, why());
    Ok(())
}

fn ensure_ways(report: &Report, leaked: u64) -> Result<()> {
    let (pool, leak) = (site(report, Kind::Inflater)?, site(report, Kind::Deflater)?);
    ensure_points(report, pool, POOL)?;
    ensure_points(report, leak, leaked)?;
    let why = || format!("{pool:#?}\n{leak:#?}");
    ensure!(
        pool.tendency.as_deref() == Some("flat") && leak.tendency.as_deref() == Some("grew"),
        why()
    );
    let moments = |site: &Site| site.trend.iter().map(|point| point.seconds).collect::<Vec<_>>();
    ensure!(moments(pool) == moments(leak), why());
    ensure!(
        [pool, leak].iter().all(|site| site.trend.is_sorted_by(|a, b| a.live <= b.live)),
        why()
    );
    Ok(())
}

/// The same for people, who read it in the last report.
pub(super) fn in_words(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = pool_and_leak_jvm(env, jdk)?.agent(&env.library, "interval=100ms,file=r.txt");
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    let file = running.wait_for_file("r.txt")?;
    let begun = Instant::now();
    let (mut leaked, mut seen) = (0, String::new());
    // Numbers of ages are in every report, so that no two are the same.
    while begun.elapsed() < Duration::from_secs(3) || leaked < 16 * STEP {
        let text = read(&file)?;
        // The first one may be older than the program.
        if text == seen || !text.contains("PoolAndLeak.fill") {
            ensure!(begun.elapsed() < Duration::from_secs(60), "no new snapshot:\n{seen}");
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        ensure!(text.contains(", snapshot (interval) after "), "no snapshot:\n{text}");
        seen = text;
        leak_a_step(&mut running)?;
        leaked += STEP;
    }
    running.close();
    let ended = running.finish()?;
    let text = read(&file)?;
    let place = |marked: &str| text.split("\n\n").find(|place| place.contains(marked));
    let pool = place("PoolAndLeak.fill").ok_or_else(|| text.clone())?;
    ensure!(pool.contains("flat at 16 for ") && !pool.contains("grew"), "{text}\n{ended}");
    let leak = place("PoolAndLeak.leak").ok_or_else(|| text.clone())?;
    let grew = leak.contains("grew ")
        && leak.contains(&format!(" → {leaked} over "))
        && !leak.contains("flat at");
    ensure!(grew, "{leaked} leaked: {text}\n{ended}");
    Ok(())
}

/// What is younger than `min_age` is no suspect yet, and becomes one; each snapshot's own ages say
/// which it is.
pub(super) fn min_age(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    const MIN_AGE: f64 = 2.0;
    let jvm = pool_and_leak_jvm(env, jdk)?.audited(&env.library, "interval=100ms,min_age=2s");
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    let (mut young, mut old) = (false, false);
    leak_a_step(&mut running)?;
    let mut taken = now();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !(young && old) {
        let snapshot = newer(&mut running, "r.json", taken)?;
        taken = snapshot.process.taken;
        let leak = site(&snapshot, Kind::Deflater)?;
        let why = || format!("{leak:#?}");
        let (youngest, oldest) =
            leak.youngest_live_seconds.zip(leak.oldest_live_seconds).ok_or_else(why)?;
        if oldest < MIN_AGE {
            young = true;
            ensure!(leak.young == STEP && leak.severity == Severity::Clean, why());
        } else if youngest > MIN_AGE {
            old = true;
            ensure!(leak.young == 0 && leak.severity == Severity::Suspect, why());
        }
        ensure!(Instant::now() < deadline, "young {young}, old {old}: {}", why());
    }
    // New ones beside old ones: the site is suspect for the old ones.
    leak_a_step(&mut running)?;
    let snapshot = newer(&mut running, "r.json", now())?;
    let leak = site(&snapshot, Kind::Deflater)?;
    let fresh = leak.youngest_live_seconds.is_some_and(|age| age < MIN_AGE);
    ensure!(leak.counts.live == 2 * STEP && leak.severity == Severity::Suspect, "{leak:#?}");
    ensure!(leak.young == if fresh { STEP } else { 0 }, "{leak:#?}");
    running.close();
    ensure!(running.finish()?.code() == 0, "the program fails");
    Ok(())
}
