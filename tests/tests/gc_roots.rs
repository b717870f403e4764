//! Paths to GC roots on real JVMs: each way in which the fixture `Retained` keeps an instance, and
//! what the search must not do.
//!
//! Invariant: a reported path is the one in the fixture's source, field by field; an instance that
//! nothing keeps is reported as unreachable.

use std::ops::RangeInclusive;
use std::process::ExitCode;
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Kind, Report, Retained, Site};
use zaudit_tests::suite::{self, Need, TestEnv, per_jdk, per_jdk_needing};

const INFLATER: &str = "java.util.zip.Inflater";

/// The method that made it, the root, and the steps but the last, indices left out.
const KEPT: &[(&str, &str, &[&str])] = &[
    ("staticField", "static Retained.direct", &[]),
    ("superclassField", "static Retained.holder", &["Retained$Base.stream"]),
    ("inList", "static Retained.LIST", &["java.util.ArrayList.elementData", "[]"]),
    (
        "inQueue",
        "static Retained.QUEUE",
        &[
            "java.util.concurrent.ConcurrentLinkedQueue.head",
            "java.util.concurrent.ConcurrentLinkedQueue$Node.next",
            "java.util.concurrent.ConcurrentLinkedQueue$Node.item",
        ],
    ),
    (
        "weakKey",
        "static Retained.WEAK_KEYS",
        &["java.util.WeakHashMap.table", "[]", "java.util.WeakHashMap$Entry.value"],
    ),
    ("valueOfReference", "static Retained.entry", &["Retained$Entry.value"]),
    ("inThread", "thread worker", &["Retained$Worker.own"]),
    (
        "threadLocal",
        "thread worker",
        &[
            "java.lang.Thread.threadLocals",
            "java.lang.ThreadLocal$ThreadLocalMap.table",
            "[]",
            "java.lang.ThreadLocal$ThreadLocalMap$Entry.value",
        ],
    ),
    ("otherStack", "a local variable of Retained$Worker.waiting in thread worker", &[]),
    ("ownStack", "a local variable of Retained.ownStack in thread main", &[]),
];

/// What is unreachable: JDK 8 has a finalizer for each instance.
const UNREACHABLE: [&str; 3] = ["garbage", "circle", "weakOnly"];

/// The collectors, and the releases on which they are tried. JDK 9 and later warn of CMS.
const COLLECTORS: [(&str, RangeInclusive<u32>); 5] = [
    ("-XX:+UseG1GC", 8..=u32::MAX),
    ("-XX:+UseSerialGC", 8..=u32::MAX),
    ("-XX:+UseConcMarkSweepGC", 8..=8),
    ("-XX:+UseZGC", 17..=u32::MAX),
    ("-XX:+UseShenandoahGC", 17..=u32::MAX),
];

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

const TESTS: [(&str, Test); 3] = [
    ("out_of_time", out_of_time),
    ("not_requested", not_requested),
    ("entry_streams", entry_streams),
];

const VIRTUAL: (&str, [Need; 1], Test) = ("virtual_threads", [Need::since(21)], virtual_threads);

fn main() -> ExitCode {
    suite::main(|env| {
        let mut trials = env.missing();
        let collectors = COLLECTORS.map(|(collector, releases)| {
            let test = move |env: &TestEnv, jdk: &Jdk| ways(env, jdk, collector);
            (format!("ways{collector}"), [Need::Jdk(releases)], test)
        });
        trials.extend(per_jdk_needing(env, collectors));
        trials.extend(per_jdk(env, TESTS));
        trials.extend(per_jdk_needing(env, [VIRTUAL]));
        trials
    })
}

fn retained(env: &TestEnv, jdk: &Jdk) -> Result<Jvm> {
    let jvm = Jvm::new(jdk, env.fixture("Retained")?)?;
    // Nothing is to be collected while it is looked at.
    Ok(jvm.flags(["-Xms256m", "-Xmx256m", "-Xcheck:jni"]))
}

fn ways(env: &TestEnv, jdk: &Jdk, collector: &str) -> Result<()> {
    let jvm = retained(env, jdk)?
        .flags([collector])
        .audited(&env.library, "gc_roots=3,gc_roots_timeout=60s,signal=USR1");
    let mut program = jvm.spawn()?;
    program.wait_for("ready")?;
    program.signal("USR1")?;
    let on_demand = program.wait_for_report("r.1.json")?;
    program.say("")?;
    let ended = program.finish()?;
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
    // JDK 8 has complaints about itself, and about a signal that is taken.
    ensure!(jdk.major == 8 || ended.complaints().is_empty(), ended.to_string());
    // The walks are no business of the audit's own tags: the counts of the second report are those
    // of the first.
    let last = ended.report()?;
    for report in [&on_demand, &last] {
        let pause = report.retention_pause_seconds;
        ensure!(pause.is_some_and(|pause| pause > 0.0 && pause < 60.0), {
            format!("the pause was {pause:?}")
        });
        kept(report)?;
        let weakest = if jdk.major == 8 { "finalizer" } else { "weak" };
        for made in UNREACHABLE {
            let held = &of(report, made)?.retention;
            let right =
                held.len() == 1 && held[0].unreachable == Some(true) && held[0].path.is_none();
            ensure!(right && held[0].reference.as_deref().is_none_or(|name| name == weakest), {
                format!("{made}: {held:?}")
            });
        }
        let soft = &of(report, "softOnly")?.retention;
        ensure!(soft[0].reference.as_deref() == Some("soft"), "{soft:?}");
    }
    ensure!(on_demand.totals.inflater.counts.live == last.totals.inflater.counts.live, {
        "others are live".into()
    });
    Ok(())
}

fn kept(report: &Report) -> Result<()> {
    for (made, root, steps) in KEPT {
        let site = of(report, made)?;
        let expected = site.counts.live.min(3);
        ensure!(site.retention.len() as u64 == expected, "{made}: {:?}", site.retention);
        for held in &site.retention {
            let is =
                |step: &String| if step.starts_with('[') { "[]".to_owned() } else { step.clone() };
            let path: Vec<String> = held.path.iter().flatten().map(is).collect();
            let right = [*steps, &[INFLATER]].concat();
            ensure!(held.root.as_deref() == Some(root) && path == right, "{made}: {held:?}");
        }
    }
    // Elements of a list have their indices; a long chain is cut, and found all the same.
    let list = &of(report, "inList")?.retention;
    let mut places: Vec<&str> =
        list.iter().flat_map(|held| held.path.iter().flatten()).map(String::as_str).collect();
    places.retain(|step| step.starts_with('['));
    // They were made within a tick of the clock, so in any order.
    places.sort_unstable();
    ensure!(places == ["[0]", "[1]", "[2]"], "{places:?}");
    let chain = &of(report, "inChain")?.retention;
    let right = |held: &Retained| {
        let path = held.path.clone().unwrap_or_default();
        held.root.as_deref() == Some("static Retained.chain")
            && path.iter().any(|step| step.ends_with(" more steps"))
            && path.len() < 40
            && path.first().is_some_and(|step| step == "Retained$Link.next")
            && path.ends_with(&["Retained$Link.stream".into(), INFLATER.into()])
    };
    ensure!(chain.len() == 3 && chain.iter().all(right), "{chain:?}");
    Ok(())
}

/// The site of the streams that this method made.
fn of<'a>(report: &'a Report, method: &str) -> Result<&'a Site> {
    let made = |site: &&Site| {
        let own = site.frames.iter().find(|frame| frame.class.starts_with("Retained"));
        own.is_some_and(|frame| frame.method == method)
    };
    report.sites.iter().find(made).ok_or_else(|| format!("nothing was made in {method}"))
}

/// Of an entry stream, what retains the stream is of interest, not what retains its Inflater.
fn entry_streams(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("EntryStreamsKept")?)?;
    let report = jvm.audited(&env.library, "gc_roots=3,gc_roots_timeout=60s").run()?.report()?;
    let site = report.sites.iter().find(|site| site.kind == Kind::ZipEntry && site.suspects > 0);
    let retention = &site.ok_or("no entry stream is live")?.retention;
    let stream = "java.util.zip.ZipFile$ZipFileInflaterInputStream".to_owned();
    let right = |held: &Retained| {
        held.root.as_deref() == Some("static EntryStreamsKept.STREAMS")
            && held.path.as_ref().is_some_and(|path| path.last() == Some(&stream))
    };
    ensure!(retention.len() == 3 && retention.iter().all(right), "{retention:?}");
    Ok(())
}

/// Virtual threads are searched, too, but not those whose constructors still run: HotSpot crashed
/// in the first of these searches.
fn virtual_threads(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let name = "RetainedByVirtualThread";
    let options = "gc_roots=1,gc_roots_timeout=60s,signal=USR1";
    let jvm = Jvm::new(jdk, env.fixture(name)?)?.flags(["-Xint"]).audited(&env.library, options);
    let mut program = jvm.spawn()?;
    program.wait_for("ready")?;
    for number in 1..=10 {
        program.signal("USR1")?;
        let report = program.wait_for_report(&format!("r.{number}.json"))?;
        let own = report.sites.iter().find(|site| site.is_of(name)).ok_or("nothing was made")?;
        let root = own.retention.iter().find_map(|held| held.root.as_deref()).unwrap_or_default();
        ensure!(root == format!("a local variable of {name}.hold in a thread"), "{own:#?}");
    }
    program.say("")?;
    let ended = program.finish()?;
    ensure!(ended.code() == 0 && ended.printed().ends_with("ended\n"), ended.to_string());
    Ok(())
}

/// The search ends when its time is over, and says so.
fn out_of_time(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let ended =
        retained(env, jdk)?.audited(&env.library, "gc_roots=1,gc_roots_timeout=0s").run()?;
    let report = ended.report()?;
    let held: Vec<&Retained> = report.sites.iter().flat_map(|site| &site.retention).collect();
    let gave_up = |held: &&&Retained| {
        held.unknown.as_deref().is_some_and(|why| why.contains("gc_roots_timeout"))
    };
    // What was found before is kept: roots come first in a walk.
    let (lost, found): (Vec<&&Retained>, Vec<&&Retained>) = held.iter().partition(gave_up);
    ensure!(lost.len() > 5 && found.iter().all(|held| held.root.is_some()), "{held:?}");
    ensure!(report.retention_pause_seconds.is_some_and(|pause| pause < 5.0), ended.to_string());
    Ok(())
}

/// Without the option there is no search.
fn not_requested(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let report = retained(env, jdk)?.audited(&env.library, "").run()?.report()?;
    let none = report.sites.iter().all(|site| site.retention.is_empty());
    ensure!(none && report.retention_pause_seconds.is_none(), "there was a search");
    Ok(())
}
