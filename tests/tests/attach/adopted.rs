//! What is open before the audit begins: found to the unit, and followed to its end.
//!
//! Adopted instances have no stack, so that only their number tells whose they are. Invariant: what
//! a program has open and nothing else is adopted, whatever else goes on meanwhile.

use super::{Kit, Program, Test};
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::report::{Adopted, Kind, Report};
use zaudit_tests::suite;

/// None needs a later release than JDK 8.
pub const TESTS: &[(&str, u32, Test)] = &[
    ("adopted_to_the_unit", 8, to_the_unit),
    ("adopted_under_churn", 8, under_churn),
    ("adopted_beside_much_garbage", 8, beside_much_garbage),
    ("adopted_in_batches", 8, in_batches),
    ("adopted_not_at_all", 8, not_at_all),
    ("adopted_entry_streams", 8, entry_streams),
    ("adopted_zipfs_streams", 8, zipfs_streams),
    ("reset", 8, reset),
];

const KINDS: [Kind; 2] = [Kind::Inflater, Kind::Deflater];

/// For a report of what was dropped: the program has collected it, but only the agent waits for the
/// finalizers and Cleaners that are to free it.
const SETTLED: &[&str] = &["--gc"];

/// What the JVM itself has open: JDK 8 keeps a few Inflaters for its own archives.
fn own(program: &Program, jdk: &Jdk) -> Result<u64> {
    if jdk.major > 8 {
        return Ok(0);
    }
    program.zaudit("attach", &[])?;
    let adopted = program.report("disarm", &[])?.totals.adopted;
    let few =
        adopted.inflater.counts.live < 50 && adopted.both.live == adopted.inflater.counts.live;
    ensure!(few, "JDK 8 has a few Inflaters open: {adopted:?}");
    Ok(adopted.inflater.counts.live)
}

/// Ensures what became of the adopted ones of a kind, beside the JVM's own. What was dropped is
/// `late` on JDK 8.
fn ensure_adopted(report: &Report, jdk: &Jdk, kind: Kind, own: u64, right: Adopted) -> Result<()> {
    let lost = right.collected;
    let own = if kind == Kind::Inflater { own } else { 0 };
    let right = Adopted {
        found: right.found + own,
        live: right.live + own,
        late: if jdk.major == 8 { lost } else { 0 },
        collected: if jdk.major == 8 { 0 } else { lost },
        ..right
    };
    let adopted = report.totals.adopted.of(kind);
    ensure!(adopted.counts == right, "{right:?} {kind}s expected: {adopted:?}");
    Ok(())
}

fn ensure_both_adopted(report: &Report, jdk: &Jdk, own: u64, right: Adopted) -> Result<()> {
    KINDS.iter().try_for_each(|kind| ensure_adopted(report, jdk, *kind, own, right))
}

fn to_the_unit(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?.flags(["-Xcheck:jni"]))?;
    let own = own(&program, jdk)?;
    program.obey("open 1000")?;
    program.obey("ended 1000")?;
    let said = program.zaudit("attach", &[])?;
    let number = |number: u64| format!("{},{:03}", number / 1000, number % 1000);
    let right =
        format!("already open: {} Inflaters and {} Deflaters", number(1000 + own), number(1000));
    ensure!(said.contains(&right), "{right:?} expected: {said}");
    let all = Adopted { found: 1000, live: 1000, ..Adopted::default() };
    let report = program.report("dump", &[])?;
    ensure_both_adopted(&report, jdk, own, all)?;
    ensure!(!report.process.from_start, "it was armed while the program ran");
    program.obey("end 300")?;
    program.obey("drop 200")?;
    let report = program.report("dump", SETTLED)?;
    let some = Adopted { found: 1000, ended: 300, collected: 200, live: 500, ..Adopted::default() };
    ensure_both_adopted(&report, jdk, own, some)?;
    let report = program.report("disarm", &["--gc"])?;
    ensure_both_adopted(&report, jdk, own, some)?;
    // A new audit finds what is left.
    program.zaudit("attach", &[])?;
    let report = program.report("disarm", &[])?;
    let rest = Adopted { found: 500, live: 500, ..Adopted::default() };
    ensure_both_adopted(&report, jdk, own, rest)?;
    program.end().map(drop)
}

/// Streams of an entry are found by the Inflaters that they have, and followed to their end: one
/// that is closed, one that only the GC finds, and one whose file is closed.
fn entry_streams(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?.flags(["-Xcheck:jni"]))?;
    program.obey("streams 10")?;
    let said = program.zaudit("attach", &[])?;
    ensure!(said.contains(" and 10 entry streams"), said);
    let ensure_streams = |report: &Report, right: Adopted| {
        let adopted = report.totals.adopted.zip_entry.counts;
        ensure!(adopted == right, "{right:?} expected: {adopted:?}");
        Ok(())
    };
    let all = Adopted { found: 10, live: 10, ..Adopted::default() };
    ensure_streams(&program.report("dump", &[])?, all)?;
    program.obey("close 4")?;
    program.obey("lose 3")?;
    if jdk.major == 8 {
        // Its WeakHashMap keeps the Inflaters of streams that are gone until it is used again, if
        // a stream's finalizer is faster than the map's queue.
        program.report("dump", &["--gc"])?;
        program.obey("usefile")?;
    }
    let some = Adopted { ended: 4, late: 3, live: 3, ..all };
    ensure_streams(&program.report("dump", &["--gc"])?, some)?;
    program.obey("closefile")?;
    let rest = Adopted { ended: 7, live: 0, ..some };
    ensure_streams(&program.report("disarm", &[])?, rest)?;
    program.end().map(drop)
}

/// Those of a zip file system that the program has used before are found, what it opens later is
/// seen, and a second audit begins with what is left.
fn zipfs_streams(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?.flags(["-Xcheck:jni"]))?;
    // JDK 8 loads the class from an archive, and its own streams for that are not all closed.
    let mut own = 0;
    if jdk.major == 8 {
        program.obey("zipfs 0")?;
        program.zaudit("attach", &[])?;
        own = program.report("disarm", &[])?.totals.adopted.zip_entry.counts.live;
    }
    program.obey("zipfs 10")?;
    program.zaudit("attach", &[])?;
    let ensure_streams = |report: &Report, right: Adopted, created: u64, live: u64| {
        let kind = report.totals.adopted.zip_entry.counts;
        let right = Adopted { found: right.found + own, live: right.live + own, ..right };
        ensure!(kind == right, "{right:?} expected: {kind:?}");
        let own = &report.totals.zip_entry.counts;
        ensure!((own.created, own.live) == (created, live), "{created}, {live}: {own:?}");
        Ok(())
    };
    program.obey("close 4")?;
    program.obey("zipfs 5")?;
    let some = Adopted { found: 10, ended: 5, live: 5, ..Adopted::default() };
    ensure_streams(&program.report("disarm", &[])?, some, 6, 6)?;
    program.zaudit("attach", &[])?;
    program.obey("closezipfs")?;
    let rest = Adopted { found: 11, ended: 11, ..Adopted::default() };
    ensure_streams(&program.report("disarm", &[])?, rest, 0, 0)?;
    program.end().map(drop)
}

/// Others make, end and forget while the search goes on. When they have stopped, what is live of
/// the adopted ones is what the program has kept. In the last round that is said by the report at
/// exit.
fn under_churn(kit: &Kit, jdk: &Jdk) -> Result<()> {
    const KEPT: u64 = 100;
    let rounds = suite::rounds(10)?;
    let mut program = kit.start(kit.scripted(jdk)?)?;
    let own = own(&program, jdk)?;
    let ensure_live = |report: &Report, kept: u64| {
        KINDS.iter().try_for_each(|kind| {
            let right = if *kind == Kind::Inflater { kept + own } else { kept };
            let adopted = report.totals.adopted.of(*kind).counts;
            ensure!(adopted.live == right && adopted.found >= KEPT, {
                format!("{right} of the adopted {kind}s are open: {adopted:?}")
            });
            Ok(())
        })
    };
    for round in 1..=rounds {
        let here = |why| format!("round {round}: {why}");
        program.obey(&format!("open {KEPT}"))?;
        for line in ["churn 2", "leak 1"] {
            program.obey(line)?;
        }
        if jdk.major >= 21 {
            program.obey("virtual 2")?;
        }
        program.zaudit("attach", &["file=r.json", "format=json"]).map_err(here)?;
        program.obey("calm")?;
        ensure_live(&program.report("dump", SETTLED)?, KEPT).map_err(here)?;
        program.obey(&format!("end {KEPT}"))?;
        if round < rounds {
            ensure_live(&program.report("disarm", &[])?, 0).map_err(here)?;
        }
    }
    ensure_live(&program.end()?.report()?, 0)
}

/// More ended ones than are worth a look: the search has them collected first.
fn beside_much_garbage(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let roomy = ["-Xms1g", "-Xmx1g", "-Xmn700m", "-XX:+UseParallelGC"];
    let mut program = kit.start(kit.scripted(jdk)?.flags(roomy))?;
    let own = own(&program, jdk)?;
    program.obey("open 100")?;
    let before = program.answer("collections")?;
    program.obey("garbage 60000")?;
    let still = program.answer("collections")?;
    ensure!(still == before, "there is a collection before the search: the test tests nothing");
    program.zaudit("attach", &[])?;
    let after = program.answer("collections")?;
    // Where instances have to be looked at one by one, a GC comes first.
    ensure!((after != before) == (jdk.major == 8), "collections {before} before, {after} after");
    let report = program.report("disarm", &[])?;
    let all = Adopted { found: 100, live: 100, ..Adopted::default() };
    ensure_both_adopted(&report, jdk, own, all)?;
    program.end().map(drop)
}

/// More open ones than the JVM gives room for references at a time.
fn in_batches(kit: &Kit, jdk: &Jdk) -> Result<()> {
    const MANY: u64 = 70_000;
    let mut program = kit.start(kit.scripted(jdk)?)?;
    let own = own(&program, jdk)?;
    program.obey(&format!("inflaters {MANY}"))?;
    program.zaudit("attach", &[])?;
    let all = Adopted { found: MANY, live: MANY, ..Adopted::default() };
    ensure_adopted(&program.report("dump", &[])?, jdk, Kind::Inflater, own, all)?;
    program.obey(&format!("end {}", MANY - 1))?;
    let one = Adopted { found: MANY, ended: MANY - 1, live: 1, ..Adopted::default() };
    ensure_adopted(&program.report("disarm", &[])?, jdk, Kind::Inflater, own, one)?;
    program.end().map(drop)
}

/// Without the search, the report still says how many unknown instances were ended.
fn not_at_all(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?)?;
    program.obey("open 100")?;
    program.obey("ended 100")?;
    let said = program.zaudit("attach", &["adopt=false"])?;
    ensure!(said.trim_end() == "armed", said.clone());
    program.obey("end 60")?;
    program.obey("drop 20")?;
    let report = program.report("disarm", &[])?;
    ensure!(report.totals.adopted.both == Adopted::default(), "{:?}", report.totals.adopted);
    for kind in KINDS {
        let unknown = report.totals.of(kind).ended_unknown;
        ensure!(unknown == 60, "60 {kind}s that the agent did not know were ended: {unknown}");
    }
    program.end().map(drop)
}

/// Counts begin anew, and what is live stays known, with its age.
fn reset(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut program = kit.start(kit.scripted(jdk)?)?;
    let own = own(&program, jdk)?;
    program.obey("open 100")?;
    program.zaudit("attach", &[])?;
    program.obey("window 40 25")?;
    let before = program.report("dump", &[])?;
    let oldest = |report: &Report, kind| {
        let sites = report.sites.iter().filter(|site| site.kind == kind && site.is_of("Scripted"));
        sites.filter_map(|site| site.oldest_live_seconds).fold(0.0, f64::max)
    };
    let said = program.zaudit("reset", &[])?;
    let right = format!("already open: {} Inflaters and 115 Deflaters", 115 + own);
    ensure!(said.contains(&right), "{right:?} expected: {said}");
    let after = program.report("dump", &[])?;
    ensure!(after.sites.iter().all(|site| !site.is_of("Scripted")), "{:#?}", after.sites);
    let all = Adopted { found: 115, live: 115, ..Adopted::default() };
    for kind in KINDS {
        ensure_adopted(&after, jdk, kind, own, all)?;
        let (made, age) =
            (oldest(&before, kind), after.totals.adopted.of(kind).oldest_live_seconds);
        // What was made before the reset is older than the new counts, and no younger than it was.
        let kept =
            age.is_some_and(|age| age >= made && age > after.process.armed_seconds && made > 0.0);
        ensure!(kept, "{kind}s were {made} s old, and are {age:?}");
    }
    program.obey("release")?;
    program.obey("window 40 25")?;
    program.obey("end 60")?;
    program.obey("drop 20")?;
    let last = program.report("disarm", SETTLED)?;
    for kind in KINDS {
        let own_sites = last.sum(kind, |site| site.is_of("Scripted"));
        ensure!((own_sites.created, own_sites.ended, own_sites.live) == (40, 25, 15), {
            format!("{own_sites:?}")
        });
        let right =
            Adopted { found: 115, ended: 75, collected: 20, live: 20, ..Adopted::default() };
        ensure_adopted(&last, jdk, kind, own, right)?;
    }
    program.end().map(drop)
}
