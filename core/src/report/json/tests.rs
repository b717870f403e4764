//! What is written is read back the same; what is no report is an error, whatever it is.

use super::read;
use crate::analysis::classify::tests::{MADE, session};
use crate::analysis::footprint::Footprint;
use crate::analysis::rules::Rule;
use crate::model::{Frame, Kind, Nanos, Stack, ThreadId};
use crate::options::Format;
use crate::report::Report;
use crate::report::tests::rendered;
use crate::report::tests::{report, sample};
use crate::testing::Recording;
use fastrand::Rng;
use std::sync::Arc;
use std::time::Duration;

const HOSTILE: [&str; 6] = [
    "a\"},\\\u{0}\u{1b}[31m",
    "<script>alert(1)</script>",
    "\u{1F600}\u{10FFFF}",
    "line\nbreak\u{202e}",
    "",
    "org.acme.Codec",
];

/// A session of any number of sites, of any names, in any state.
fn generated(rng: &mut Rng) -> Recording {
    let session = Recording::default();
    for number in 0..rng.u64(..12) {
        let kind = Kind::ALL[rng.usize(..2)];
        let mut name = || HOSTILE[rng.usize(..6)].to_owned();
        let frame = |name: &mut dyn FnMut() -> String, line: Option<u32>| Frame {
            file: Some(name()).filter(|name| !name.is_empty()),
            line,
            jdk: line.is_some_and(|line| line % 3 == 0),
            ..Frame::named(&name(), &name())
        };
        let frames = (0..number).map(|line| frame(&mut name, Some(line as u32))).collect();
        let subclass = Some(name()).filter(|name| !name.is_empty());
        let site = session.learn(kind, Stack { frames, truncated: number == 3, subclass }).unwrap();
        session.name_thread(site, name());
        let again =
            Stack { frames: vec![frame(&mut name, None)], truncated: false, subclass: None };
        let double_end = session.learn_double_end(kind, again).unwrap();
        (0..rng.u64(..3)).for_each(|_| session.record_double_end(double_end).unwrap());
        for _ in 0..rng.u64(..9) {
            let id = session.id();
            session
                .record_created(id, site, ThreadId(1), Nanos(rng.u64(..1_u64 << 31) << 20))
                .unwrap();
            if rng.u64(..2) == 0 {
                session.record_freed(id, Nanos(rng.u64(..1_u64 << 31) << 22));
            }
        }
    }
    if rng.u64(..3) == 0 {
        session.record_dropped("no tag");
        session.record_unreadable("a name");
        session.set_missing_hooks("x", vec!["x.end(): no such method".into()]);
        session.set_unsettled(Some(HOSTILE[0].into()));
    }
    session
}

pub(super) fn all_kinds_of_reports() -> Vec<Report> {
    let mut rng = Rng::with_seed(1);
    let mut reports: Vec<_> = (0..60).map(|_| report(&generated(&mut rng))).collect();
    reports.push(sample());
    reports.push(sample().against(&reports[7].as_baseline("old.json")));
    reports.push(sample().against(&sample().as_baseline(HOSTILE[0])));
    reports.push(over());
    reports
}

#[test]
fn what_is_read_renders_to_the_same_bytes() {
    for report in all_kinds_of_reports() {
        let json = rendered(&report, Format::Json);
        let again = read(&json).unwrap();
        for format in Format::ALL {
            let [before, after] = [&report, &again].map(|r| rendered(r, format));
            assert!(before == after, "{format:?} of {}", String::from_utf8_lossy(&json));
        }
    }
}

/// Whether a frame is the JDK's is read; in a report that does not say it, names decide.
#[test]
fn a_frame_of_the_jdk_is_known_by_its_field_or_its_name() {
    let session = Recording::default();
    let names = ["com.sun.mail.A", "org.xml.sax.B", "java.lang.C"];
    let frame = |name: &str| Frame { jdk: name == names[1], ..Frame::named(name, "m") };
    let frames = names.map(frame).to_vec();
    let site = session.learn(Kind::Inflater, Stack { frames, truncated: false, subclass: None });
    session.record_created(session.id(), site.unwrap(), ThreadId(1), Nanos(0)).unwrap();
    let json = rendered(&report(&session), Format::Json);
    let jdk = |bytes: &[u8]| {
        let report = read(bytes).unwrap();
        let frames = report.classification.sites[0].site.frames().map(|frame| frame.jdk);
        frames.collect::<Vec<_>>()
    };
    assert_eq!(jdk(&json), [false, true, false]);
    let mut older: serde_json::Value = serde_json::from_slice(&json).unwrap();
    for frame in older["sites"][0]["frames"].as_array_mut().unwrap() {
        frame.as_object_mut().unwrap().remove("jdk");
    }
    assert_eq!(jdk(&serde_json::to_vec(&older).unwrap()), [true, false, true]);
}

/// A rule over its maximum, and one without use.
fn over() -> Report {
    let snapshot = session(&[(Kind::Inflater, &[MADE, "a.Pool.get"], 21, 0, 0, 5)])
        .snapshot(Nanos(7), Duration::ZERO)
        .unwrap();
    let (rules, _) = Rule::read_file(HOSTILE[0], "live,leak:a.Pool.* max=16\nlive:x.\u{1b}y");
    Report::new(sample().process, Footprint::default(), &snapshot, rules, Arc::default()).unwrap()
}

#[test]
fn rules_and_baselines_are_written_and_read() {
    let value = |report: &Report| -> serde_json::Value {
        serde_json::from_slice(&rendered(report, Format::Json)).unwrap()
    };
    let over = value(&over());
    assert_eq!(
        over["rules"],
        serde_json::json!([
            {"text": "live,leak:a.Pool.* max=16", "built_in": false, "source": format!("{}:1", HOSTILE[0]), "matched": 16,
             "max": 16, "excess": 5, "over": true},
            {"text": "live:x.\u{1b}y", "built_in": false, "source": format!("{}:2", HOSTILE[0]), "matched": 0,
             "max": null, "excess": 0, "over": false},
        ])
    );
    let against = value(&sample().against(&sample().as_baseline("old.json")));
    assert_eq!(
        against["baseline"],
        serde_json::json!({"file": "old.json", "taken": 1_795_451_197.75, "sites": 4, "known": 193})
    );
    let first = &against["sites"]
        .as_array()
        .unwrap()
        .iter()
        .find(|site| site["kind"] == "deflater")
        .unwrap();
    assert_eq!((&first["severity"], &first["leaked"]), (&"clean".into(), &0.into()));
    // The baseline of a report that had one forgets nothing.
    let again = sample().against(&sample().as_baseline("old.json")).as_baseline("newer.json");
    assert_eq!(again.sites, sample().as_baseline("old.json").sites);
}

/// Whatever a renderer cannot work on, it would panic at.
fn render_all(report: &Report) {
    for format in Format::ALL {
        rendered(report, format);
    }
}

/// The sample with another value at this pointer.
fn changed(pointer: &str, value: &str) -> Vec<u8> {
    let json = rendered(&sample(), Format::Json);
    let mut root: serde_json::Value = serde_json::from_slice(&json).unwrap();
    *root.pointer_mut(pointer).unwrap() = serde_json::from_str(value).unwrap();
    serde_json::to_vec(&root).unwrap()
}

#[test]
fn what_is_wrong_is_said() {
    for (pointer, value, says) in [
        (
            "/schema",
            "\"zaudit-report/2\"",
            "unsupported schema \"zaudit-report/2\"; this version of zaudit reads",
        ),
        ("", r#"{"schema": "other/1", "sites": 3}"#, "unsupported schema \"other/1\""),
        ("", "[]", "not a zaudit JSON report"),
        ("", "{}", "missing field"),
        ("/process/started", "-1", "started is out of range: -1"),
        ("/process/started", "1e300", "out of range"),
        ("/process/armed_seconds", "1e300", "out of range"),
        ("/process/trigger", "\"whim\"", "unknown trigger \"whim\""),
        ("/process/pid", "1.5", "expected u32"),
        ("/totals/inflater/created", "18446744073709551615", "a total is"),
        ("/totals/deflater/bytes_each", "9007199254740992", "bytes_each is"),
        ("/totals/adopted/inflater/found", "5", "invalid adopted: "),
        ("/sites/0/id", "\"0x7f\"", "not hexadecimal"),
        ("/sites/0/id", "\"00000000000000000\\u0000\"", "not hexadecimal"),
        ("/sites/0/kind", "\"gzip\"", "unknown kind \"gzip\""),
        ("/sites/0/live", "7", "created is not"),
        ("/sites/0/live", "-7", "expected u64"),
        ("/sites/0/live", "1e99", "expected u64"),
        ("/sites/0/leaked", "99", "leaked is 99, more than"),
        ("/sites/0/suspects", "99", "suspects is 99, more than"),
        ("/sites/0/expected", "99", "expected is 99, more than"),
        ("/sites/0/young", "99", "young is 99, more than"),
        ("/sites/0/lateness_seconds", "1e300", "lateness_seconds is out of range"),
        ("/sites/0/rule", "\"live:x\"", "rule \"live:x\" is not in rules"),
        ("/sites/0/frames", "null", "invalid type: null"),
        ("/sites/0/frames/0/line", "-1", "expected u32"),
        ("/sites/1/trend", r#"[{"seconds": 1, "live": 1}]"#, "different times"),
        ("/sites/0/known/leaked", "99", "leaked is"),
        (
            "/sites/0/known/leaked",
            "18446744073709551615",
            "leaked is 18446744073709551615, more than",
        ),
        ("/sites/0/known", "3", "expected struct"),
        ("/rules/0/matched", "18446744073709551615", "matched is"),
        ("/rules/0/excess", "18446744073709551615", "excess is"),
        ("/rules/0/max", "-1", "expected u64"),
        ("/baseline", "[]", "invalid"),
        ("/health/dropped", "[]", "invalid type"),
    ] {
        let wrong = read(&changed(pointer, value)).err();
        let said = wrong.as_deref().unwrap_or("nothing");
        assert!(said.contains(says), "{pointer} {value}: {said}");
        assert!(said.lines().count() == 1, "{said}");
    }
}

#[test]
fn sites_are_there_once() {
    let json = String::from_utf8(rendered(&sample(), Format::Json)).unwrap();
    let root: serde_json::Value = serde_json::from_str(&json).unwrap();
    let [first, second] = [0, 1].map(|at| root["sites"][at]["id"].as_str().unwrap());
    let wrong = read(json.replace(second, first).as_bytes()).unwrap_err();
    assert_eq!(wrong, format!("duplicate site {first:?}"));
}

#[test]
fn fields_that_came_later_are_not_needed_and_unknown_ones_are_passed_over() {
    let json = rendered(&sample(), Format::Json);
    let mut root: serde_json::Value = serde_json::from_slice(&json).unwrap();
    for site in root["sites"].as_array_mut().unwrap() {
        let site = site.as_object_mut().unwrap();
        for field in ["leaked", "suspects", "lateness_seconds"] {
            assert!(site.remove(field).is_some());
        }
        site.insert("later".into(), serde_json::json!({"deep": [[[1]]]}));
    }
    root["process"].as_object_mut().unwrap().remove("options");
    root.as_object_mut().unwrap().remove("ended_again");
    let report = read(&serde_json::to_vec(&root).unwrap()).unwrap();
    assert_eq!(report.process.options, "");
    for (old, new) in report.classification.sites.iter().zip(&sample().classification.sites) {
        let [old, new] =
            [old, new].map(|classified| (classified.stats.leaked, classified.stats.suspects));
        assert_eq!(old, new);
    }
}

#[test]
fn a_covered_leak_of_an_old_report_does_not_hide_an_uncovered_one() {
    const POOL: &str = "java.util.zip.ZipFile.getInflater";
    let report = report(&session(&[(Kind::Inflater, &[MADE, POOL, "a.B.c"], 9, 1, 0, 3)]));
    let json = rendered(&report, Format::Json);
    let mut root: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let site = root["sites"][0].as_object_mut().unwrap();
    for field in ["leaked", "suspects"] {
        assert!(site.remove(field).is_some());
    }
    let stats = read(&serde_json::to_vec(&root).unwrap()).unwrap().classification.sites[0].stats;
    assert_eq!((stats.leaked, stats.suspects, stats.expected), (3, 0, 5));
}

/// Everything that can be done to a report by accident or on purpose: what comes of it is an error,
/// or can be rendered.
#[test]
fn damage_is_an_error_or_harmless() {
    let json = rendered(&sample(), Format::Json);
    let mut rng = Rng::with_seed(7);
    let check = |bytes: &[u8]| match read(bytes) {
        Ok(report) => {
            render_all(&report);
            true
        }
        Err(wrong) => {
            assert!(!wrong.is_empty());
            false
        }
    };
    for end in (0..json.len() - 1).step_by(97) {
        assert!(!check(&json[..end]) || end + 1 == json.len(), "cut at {end}");
    }
    const SPLINTERS: [&[u8]; 10] = [
        b"\"",
        b"9",
        b"-",
        b"1e999",
        b"null",
        b"[",
        b"}",
        b"\\u0000",
        b"\xff",
        b"18446744073709551615",
    ];
    let mut taken = 0;
    for _ in 0..4_000 {
        let mut bytes = json.clone();
        for _ in 0..1 + rng.u64(..3) {
            let at = rng.usize(..bytes.len());
            let splinter = SPLINTERS[rng.usize(..10)];
            let end = (at + rng.usize(..4)).min(bytes.len());
            bytes.splice(at..end, splinter.iter().copied());
        }
        taken += u32::from(check(&bytes));
    }
    assert!((100..3_900).contains(&taken), "both happen: {taken}");
}

#[test]
fn numbers_of_any_size_are_refused_or_can_be_summed() {
    let json = rendered(&sample(), Format::Json);
    let root: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let text = String::from_utf8(json).unwrap();
    let huge =
        ["1099511627776", "9007199254740992", "18446744073709551615", "4294967296.5", "1e308"];
    // Each count of the first site alone, then all numbers of the report at once.
    for name in root["sites"][0].as_object().unwrap().keys() {
        for value in huge {
            let mut root = root.clone();
            root["sites"][0][name] = serde_json::from_str(value).unwrap();
            root["health"]["sums_off"] = 1.into();
            if let Ok(report) = read(&serde_json::to_vec(&root).unwrap()) {
                render_all(&report);
            }
        }
    }
    for value in huge {
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
        let all: Vec<String> = text
            .split_inclusive([' ', ',', '\n'])
            .map(|word| match word.trim_end_matches([',', '\n']) {
                number if !number.is_empty() && digits(number) => word.replace(number, value),
                _ => word.to_owned(),
            })
            .collect();
        assert!(read(all.concat().as_bytes()).is_err());
    }
}

/// A level of nesting takes a byte or a few, and would take far more than that on the stack: these
/// are more levels than fit on the stack of any thread.
#[test]
fn ten_megabytes_and_deep_nesting_are_an_error() {
    const SIZE: usize = 10_000_000;
    for bytes in [
        vec![b'['; SIZE],
        b"{\"a\":".repeat(SIZE / 5),
        [b"{\"schema\":\"".as_slice(), &vec![b'x'; SIZE]].concat(),
        vec![0; SIZE],
        vec![b'9'; SIZE],
    ] {
        let wrong = read(&bytes).unwrap_err();
        assert!(wrong.len() < 300, "{}", wrong.len());
    }
}
