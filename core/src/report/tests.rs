//! The reports that the renderers' tests share, and the files that hold what they should come to.

use super::*;
use crate::analysis::classify::ClassifiedSite;
use crate::analysis::classify::tests::{session, stack};
use crate::analysis::retention::{ReferenceStrength, Retained};
use crate::model::{Actor, Role, SiteId, ThreadId};
use std::path::Path;
use std::time::Duration;

#[expect(unreachable_pub, reason = "zaudit-tests makes it public")]
#[path = "../../../tests/src/golden.rs"]
mod comparer;

/// The report that the renderers' goldens show, of a run of three hours: a leak by everybody, a
/// leak on one path, a pool, something that grows, a JDK cache, and what was there before.
pub(crate) fn sample() -> Report {
    const MADE: [&str; 2] = ["java.util.zip.Inflater.<init>", "java.util.zip.Deflater.<init>"];
    const MAIN: &str = "org.acme.Main.main";
    const CODEC: &[&str] = &[
        MADE[1],
        "org.apache.lucene.codecs.compressing.CompressionMode$DeflateCompressor.<init>",
        "org.apache.lucene.codecs.compressing.CompressionMode$2.newCompressor",
        "org.acme.search.Index.write",
        MAIN,
    ];
    let session = session(&[
        (Kind::Deflater, &[MADE[1], "org.acme.mail.Outbox.pack", MAIN], 0, 0, 0, 0),
        (Kind::Deflater, CODEC, 4, 0, 1, 3),
        (Kind::Inflater, &[MADE[0], "org.acme.Codec.decode", MAIN], 2_000, 1_998, 0, 2),
        (Kind::Inflater, &[MADE[0], "org.acme.Pool.<clinit>", MAIN], 16, 0, 0, 0),
        (Kind::Inflater, &[MADE[0], "java.util.zip.ZipFile.getInflater", MAIN], 3, 0, 0, 0),
        (Kind::Inflater, &[MADE[0], MAIN], 7, 7, 0, 0),
    ]);
    let again = stack(&["java.util.zip.Inflater.end", "org.acme.mail.Attachment.close", MAIN]);
    let double_end = session.learn_double_end(Kind::Inflater, again).unwrap();
    (0..12).for_each(|_| session.record_double_end(double_end).unwrap());
    let main = ThreadId(1);
    let adopted: Vec<_> = (0..40).map(|_| session.id()).collect();
    adopted.iter().for_each(|id| session.record_adopted(*id, Kind::Inflater, Nanos(0)).unwrap());
    let mut history = History::default();
    for minute in 0..=180 {
        let now = Nanos(500_000_000 + minute * 60_000_000_000);
        if minute % 30 == 0 {
            history.record(&session.snapshot(now, Duration::ZERO).unwrap()).unwrap();
            for id in adopted.iter().skip(minute as usize / 10).take(2) {
                session.record_ended(*id, Actor { thread: main, role: Role::Program }, now);
            }
        }
        session.record_created(session.id(), SiteId(0), main, now).unwrap();
    }
    adopted.iter().skip(38).for_each(|id| session.record_freed(*id, Nanos(1_000_000_000)));
    let taken = Nanos(10_805_000_000_000);
    let snapshot = session.snapshot(taken, Duration::from_secs(600)).unwrap();
    history.record(&snapshot).unwrap();
    let process = process(taken, Nanos(500_000_000));
    let report =
        Report::new(process, Footprint::default(), &snapshot, Rule::built_in(), Arc::new(history))
            .unwrap();
    Report { retention: retention(&report), ..report }
}

/// Retaining paths of some suspects.
fn retention(report: &Report) -> Retention {
    let by = |root: &str, path: &[&str]| Retained::By {
        root: root.into(),
        path: path.iter().map(|step| (*step).into()).collect(),
    };
    let pool = |at: &str| {
        by(
            "static org.acme.Pool.IDLE",
            &["java.util.ArrayDeque.elements", at, "java.util.zip.Inflater"],
        )
    };
    let of = |kind| {
        let suspect = |site: &&ClassifiedSite| site.stats.suspects > 0 && site.stats.kind == kind;
        report.classification.sites.iter().find(suspect).unwrap().site.stable_id
    };
    let outbox = [
        by("a local variable of org.acme.Main.main in thread main", &["java.util.zip.Deflater"]),
        Retained::Nothing(Some(ReferenceStrength::Finalizer)),
        Retained::Unknown(
            "not found: the search stopped after 2s (option gc_roots_timeout)".into(),
        ),
    ];
    Retention {
        streams: [
            (of(Kind::Deflater), outbox.into()),
            (of(Kind::Inflater), vec![pool("[3]"), pool("[4]")]),
        ]
        .into(),
        pause: Some(Duration::from_millis(180)),
    }
}

/// The report of a session that lasted a minute, without snapshots before.
pub(crate) fn report(session: &crate::testing::Recording) -> Report {
    let taken = Nanos(60_500_000_000);
    let snapshot = session.snapshot(taken, Duration::ZERO).unwrap();
    Report::new(
        process(taken, Nanos(0)),
        Footprint::default(),
        &snapshot,
        Rule::built_in(),
        Arc::default(),
    )
    .unwrap()
}

/// A leak whose names try to break out of every format.
pub(crate) fn hostile() -> crate::testing::Recording {
    use crate::model::{Frame, Nanos, Stack};
    let names = [
        "a\"},\\\u{0}\u{1b}[31m</script>\u{1F600};\n3 4".to_owned(),
        format!("<script>alert('x')</script>{} 7", "x".repeat(10_000)),
    ];
    let frame = |name: String| Frame { file: Some(name.clone()), ..Frame::named(&name, &name) };
    let [subclass, thread] = names.clone();
    let stack =
        Stack { frames: names.map(frame).to_vec(), truncated: false, subclass: Some(subclass) };
    let session = crate::testing::Recording::default();
    let site = session.learn(Kind::Inflater, stack).unwrap();
    session.name_thread(site, thread);
    let id = session.id();
    session.record_created(id, site, ThreadId(1), Nanos(0)).unwrap();
    session.record_freed(id, Nanos(1_000_000_000));
    session
}

fn process(taken: Nanos, armed: Nanos) -> Process {
    let started = UNIX_EPOCH + Duration::from_millis(1_795_440_393_250);
    Process {
        pid: 4711,
        jvm: "OpenJDK 64-Bit Server VM 17.0.15".into(),
        command: "org.acme.Main --serve".into(),
        options: "file=/var/log/zaudit-%p.json,min_age=10m".into(),
        started,
        armed,
        taken: started + taken.since(armed),
        from_start: false,
        rss_bytes: Some(2_040_109_466),
        ..Process::default()
    }
}

#[test]
fn nothing_to_tell_means_nothing_at_all() {
    const MADE: &str = "java.util.zip.Inflater.<init>";
    let made = |created, ended, collected| {
        session(&[(Kind::Inflater, &[MADE, "a.B.c"], created, ended, 0, collected)])
    };
    assert!(report(&made(0, 0, 0)).nothing_to_tell());
    assert!(report(&made(2, 2, 0)).nothing_to_tell());
    assert!(!report(&made(2, 1, 0)).nothing_to_tell(), "a suspect");
    assert!(!report(&made(2, 1, 1)).nothing_to_tell(), "a leak");
    let unwell = made(2, 2, 0);
    unwell.record_dropped("no tag");
    assert!(!report(&unwell).nothing_to_tell(), "bad health");
    let adopting = made(2, 2, 0);
    let main = ThreadId(1);
    let id = adopting.id();
    adopting.record_adopted(id, Kind::Inflater, Nanos(0)).unwrap();
    assert!(!report(&adopting).nothing_to_tell(), "a suspect without a stack");
    adopting.record_ended(id, Actor { thread: main, role: Role::Program }, Nanos(1));
    assert!(report(&adopting).nothing_to_tell());
}

/// The report in this format.
pub(crate) fn rendered(report: &Report, format: Format) -> Vec<u8> {
    rendered_in(report, format, Style::default())
}

/// The report in this format and style.
pub(crate) fn rendered_in(report: &Report, format: Format, style: Style) -> Vec<u8> {
    let mut bytes = Vec::new();
    report.render(format, style, &mut bytes).unwrap();
    bytes
}

/// Compares with `tests/goldens/<name>`; a missing golden fails, `BLESS=1` writes it.
pub(crate) fn golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens").join(name);
    comparer::golden(&path, std::str::from_utf8(bytes).unwrap()).unwrap_or_else(|w| panic!("{w}"));
}
