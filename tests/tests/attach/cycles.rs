//! Arming and disarming again and again, while threads stand in the very constructors and `end()`s.
//!
//! `ZAUDIT_ROUNDS` says how often. Invariant: within each armed window the counts are exact, and
//! after the last one nothing is left of it.

use super::{Kit, Test};
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::report::{Counts, Kind, Report};
use zaudit_tests::suite;

/// With the release that has the collector.
pub const TESTS: &[(&str, u32, Test)] = &[
    ("cycles_g1", 8, |kit, jdk| cycles(kit, jdk, "-XX:+UseG1GC")),
    ("cycles_zgc", 17, |kit, jdk| cycles(kit, jdk, "-XX:+UseZGC")),
    ("cycles_shenandoah", 17, |kit, jdk| cycles(kit, jdk, "-XX:+UseShenandoahGC")),
];

/// Made in each window of each kind, and ended of them.
const MADE: u64 = 40;
const ENDED: u64 = 25;

/// Threads of each sort that make and end; each has one of them open at a time, and each sort one
/// more.
const CHURNERS: u64 = 2;

/// The one finalizer thread of JDK 8 can keep a busy machine from anything else.
const PATIENT: [&str; 2] = ["--timeout", "2m"];

fn cycles(kit: &Kit, jdk: &Jdk, collector: &str) -> Result<()> {
    // Each takes JDK 8 four seconds, as all that is dropped passes its finalizer, JDK 11 one, and
    // the others a tenth of one. Every fourth has a report in its midst.
    let cycles = suite::rounds(match jdk.major {
        8 => 5,
        11 => 6,
        _ => 10,
    })?;
    // With a small heap there is little garbage to walk over: it is how often it happens that
    // counts.
    let jvm = || Ok::<_, String>(kit.scripted(jdk)?.flags([collector, "-Xmx96m", "-Xcheck:jni"]));
    let mut bare = kit.start(jvm()?)?;
    let mut program = kit.start(jvm()?)?;
    let mut most = CHURNERS + 1;
    for program in [&mut bare, &mut program] {
        program.obey(&format!("churn {CHURNERS}"))?;
        if jdk.major >= 21 {
            program.obey(&format!("virtual {CHURNERS}"))?;
            most = 2 * (CHURNERS + 1);
        }
    }
    if jdk.major == 8 {
        // It keeps a few for its own archives.
        most += 20;
    }
    for line in ["window 40 25", "release", "hooked 100"] {
        bare.obey(line)?;
    }
    let known = bare.end()?.complaints();
    for cycle in 1..=cycles {
        let here = |why| format!("cycle {cycle}: {why}");
        program.zaudit("attach", &PATIENT).map_err(here)?;
        program.obey(&format!("window {MADE} {ENDED}")).map_err(here)?;
        if cycle % 4 == 0 {
            let report = program.report("dump", &PATIENT).map_err(here)?;
            ensure_window(&report, most).map_err(here)?;
        }
        if cycle == 1 {
            program.ensure_hooked(true)?;
        }
        let report = program.report("disarm", &PATIENT).map_err(here)?;
        ensure_window(&report, most).map_err(here)?;
        program.obey("release").map_err(here)?;
    }
    program.wait_for_threads(&[])?;
    program.ensure_hooked(false)?;
    program.obey("calm")?;
    let ended = program.end()?;
    // JDK 8's runFinalization0 leaves out a check, and whichever call is next on that thread is
    // blamed for it. The agent calls no static void method.
    let own = |complaint: &&String| {
        jdk.major == 8 && complaint.contains("required to from CallStaticVoidMethod")
    };
    let fresh: Vec<String> = ended
        .complaints()
        .difference(&known)
        .filter(|complaint| !own(complaint))
        .cloned()
        .collect();
    ensure!(fresh.is_empty(), "-Xcheck:jni complains: {fresh:#?}");
    Ok(())
}

/// Reading the report has checked its sums and that nothing was missed.
fn ensure_window(report: &Report, most: u64) -> Result<()> {
    for kind in [Kind::Inflater, Kind::Deflater] {
        let window =
            report.sum(kind, |site| site.frames.iter().any(|f| f.to_string() == "Scripted.window"));
        let right = Counts { created: MADE, ended: ENDED, live: MADE - ENDED, ..Counts::default() };
        ensure!(window == right, "{kind}s of the window: {right:?} made, {window:?} counted");
        let churned = report.sum(kind, |site| site.is_of("Scripted"));
        let lost = churned.late + churned.collected;
        ensure!(lost == 0, "every {kind} was ended, and {lost} are said to be lost: {churned:?}");
        let adopted = report.totals.adopted.of(kind).counts;
        ensure!(adopted.live <= most && adopted.late + adopted.collected == 0, {
            format!("no more than {most} {kind}s could be open, none was dropped: {adopted:?}")
        });
    }
    Ok(())
}
