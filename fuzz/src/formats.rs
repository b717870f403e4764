//! Readers of the formats of a report, which check what each format's own readers rely on.
//!
//! Invariant: they share no code with the renderers, except the table of hostile characters.

use crate::documents::SAMPLE;
use std::collections::HashSet;
use std::sync::LazyLock;
use zaudit_core::escape;
use zaudit_core::model::Kind;
use zaudit_core::options::Format;
use zaudit_core::report::{Report, Style};

/// The report in a format.
pub fn rendered(report: &Report, format: Format, style: Style) -> Vec<u8> {
    let mut bytes = Vec::new();
    report.render(format, style, &mut bytes).expect("a vector takes everything");
    bytes
}

/// Renders the report to this format and checks what it is.
pub fn check(report: &Report, format: Format) -> Vec<u8> {
    let bytes = rendered(report, format, Style::default());
    if format == Format::Pprof {
        pprof(&bytes);
        return bytes;
    }
    let text = std::str::from_utf8(&bytes).expect("text is UTF-8");
    let hostile = text.find(|c| escape::is_hostile(c) && c != '\n');
    assert_eq!(hostile.map(|at| &text[at..]), None, "{format:?}");
    match format {
        Format::Text => {
            for width in [1, 60, 200] {
                rendered(report, format, Style { width: Some(width), colour: true });
            }
        }
        Format::Collapsed => text.lines().for_each(collapsed),
        Format::Prom => prom(text),
        Format::Html => assert_eq!(tags(text), *TAGS, "the page has the tags of any page"),
        Format::Json | Format::Markdown | Format::Pprof => {}
    }
    bytes
}

/// Writes JSON and reads it again: what was read renders to the same JSON, and to the same bytes in
/// this format. One format an input, because all of them take seven times as long.
pub fn round_trip(report: &Report, format: Format) {
    let json = check(report, Format::Json);
    let again = Report::read(&json).unwrap_or_else(|why| panic!("{why}: {}", text(&json)));
    for format in [Format::Json, format] {
        let (before, after) = (check(report, format), rendered(&again, format, Style::default()));
        assert!(before == after, "{format:?}\n{}\n---\n{}", text(&before), text(&after));
    }
}

/// The sums of a format are the report's own, which a session that was recorded here has exactly.
pub fn adds_up(report: &Report, format: Format) {
    let bytes = rendered(report, format, Style::default());
    let totals = &report.classification.totals;
    let created = || Kind::ALL.iter().map(|kind| totals.get(*kind).created).sum::<u64>();
    let live = || {
        let of = |kind: &Kind| totals.get(*kind).live + report.adopted.get(*kind).live;
        Kind::ALL.iter().map(of).sum::<u64>()
    };
    match format {
        Format::Collapsed => {
            let text = text(&bytes);
            let numbers = text.lines().filter(|line| line.starts_with("live"));
            let sum: u64 =
                numbers.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
            assert!(sum == live() || text.starts_with("leaked"), "{sum}: {text}");
        }
        Format::Prom => {
            let text = text(&bytes);
            let of = |name: &str| -> u64 {
                let lines = text.lines().filter(|line| line.starts_with(name));
                lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
            };
            assert_eq!(of("zaudit_created_total{"), created(), "{text}");
        }
        Format::Pprof => {
            let mut sums = [0; 6];
            for values in pprof(&bytes) {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
            assert_eq!((sums[2], sums[4]), (live(), created()), "live_objects, alloc_objects");
        }
        Format::Text | Format::Html | Format::Json | Format::Markdown => {}
    }
}

/// A format that the input chooses.
pub fn chosen(bytes: &[u8]) -> Format {
    let sum = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_add(usize::from(*byte)));
    Format::ALL[sum % Format::ALL.len()]
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What begins a script, a style or the end of one.
static TAGS: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let sample = Report::read(SAMPLE).expect("the golden is a report");
    let page = rendered(&sample, Format::Html, Style::default());
    tags(std::str::from_utf8(&page).expect("the page is UTF-8"))
});

fn tags(page: &str) -> Vec<usize> {
    let tags = ["<script", "</script", "<style", "</style", "<iframe", "<img", "<!--"];
    let begins = |at: usize, tag: &str| {
        page.get(at..at + tag.len()).is_some_and(|found| found.eq_ignore_ascii_case(tag))
    };
    let ats: Vec<usize> = page.match_indices('<').map(|(at, _)| at).collect();
    tags.map(|tag| ats.iter().filter(|at| begins(**at, tag)).count()).to_vec()
}

/// `frame;frame 7`.
fn collapsed(line: &str) {
    let (stack, number) = line.rsplit_once(' ').expect("a number");
    assert!(number.parse::<u64>().is_ok_and(|number| number > 0), "{line}");
    let mut frames = stack.split(';');
    assert!(matches!(frames.next(), Some("leaked" | "live")), "{line}");
    assert!(frames.all(|frame| !frame.is_empty()), "{line}");
}

/// `# HELP …`, `# TYPE …`, or `name{label="value",…} number`; a series is there once.
fn prom(text: &str) {
    let mut series = HashSet::new();
    for line in text.lines() {
        if line.starts_with("# HELP ") || line.starts_with("# TYPE ") {
            continue;
        }
        let (name, rest) = line.split_once('{').expect("labels");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        let mut rest = rest;
        loop {
            let (label, behind) = rest.split_once("=\"").expect("a label");
            assert!(label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
            rest = behind_value(behind).unwrap_or_else(|| panic!("an open label: {line}"));
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        let number = rest.strip_prefix("} ").expect("the end of the labels");
        assert!(number.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        assert!(series.insert(&line[..line.len() - number.len()]), "twice: {line}");
    }
}

/// What is behind the closing quote.
fn behind_value(text: &str) -> Option<&str> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return text.get(at + 1..),
            '\\' => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n'))), "{text}"),
            _ => {}
        }
    }
    None
}

/// One field of a protocol buffer.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return number;
        }
    }
    panic!("a number of more than ten bytes")
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let number = varint(&mut bytes);
        match key & 7 {
            0 => fields.push((key >> 3, Field::Number(number))),
            2 => {
                let length = usize::try_from(number).expect("a length");
                let (inner, rest) = bytes.split_at(length);
                bytes = rest;
                fields.push((key >> 3, Field::Bytes(inner)));
            }
            other => panic!("wire type {other}"),
        }
    }
    fields
}

fn numbers(mut bytes: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes));
    }
    numbers
}

/// Every id of `profile.proto` leads somewhere, and every sample has a value of each type. Gives
/// those values.
fn pprof(gzip: &[u8]) -> Vec<Vec<u64>> {
    let mut samples = Vec::new();
    let body = gzip.get(10..gzip.len() - 8).expect("a gzip file");
    let bytes = miniz_oxide::inflate::decompress_to_vec(body).expect("deflated data");
    let profile = fields(&bytes);
    let messages = |number: u64| {
        profile.iter().filter_map(move |field| match field {
            (found, Field::Bytes(bytes)) if *found == number => Some(*bytes),
            _ => None,
        })
    };
    let types = messages(1).count();
    let strings = messages(6).count() as u64;
    assert_eq!(messages(6).next(), Some(&b""[..]), "the first string is empty");
    messages(6).for_each(|text| assert!(std::str::from_utf8(text).is_ok(), "a string is UTF-8"));
    let id = |message: &[u8]| {
        let id = fields(message).into_iter().find_map(|field| match field {
            (1, Field::Number(id)) => Some(id),
            _ => None,
        });
        id.filter(|id| *id > 0).expect("an id")
    };
    let ids = |number: u64| {
        let all: Vec<u64> = messages(number).map(id).collect();
        let known: HashSet<u64> = all.iter().copied().collect();
        assert_eq!(known.len(), all.len(), "an id is there once");
        known
    };
    let (mappings, locations, functions) = (ids(3), ids(4), ids(5));
    let check = |number: u64, value: u64| match number {
        0 => assert!(value < strings, "a string"),
        3 => assert!(mappings.contains(&value), "a mapping"),
        4 => assert!(locations.contains(&value), "a location"),
        _ => assert!(functions.contains(&value), "a function"),
    };
    for sample in messages(2) {
        for field in fields(sample) {
            match field {
                (1, Field::Bytes(stack)) => numbers(stack).into_iter().for_each(|id| check(4, id)),
                (2, Field::Bytes(values)) => {
                    let values = numbers(values);
                    assert_eq!(values.len(), types, "a value of each type");
                    assert!(values.iter().all(|value| i64::try_from(*value).is_ok()), "{values:?}");
                    samples.push(values);
                }
                (3, Field::Bytes(label)) => {
                    for field in fields(label) {
                        let (1 | 2, Field::Number(at)) = field else { panic!("a label") };
                        check(0, at);
                    }
                }
                (number, _) => panic!("field {number} of a sample"),
            }
        }
    }
    for location in messages(4) {
        for field in fields(location) {
            match field {
                (1, Field::Number(_)) => {}
                (2, Field::Number(mapping)) => check(3, mapping),
                (4, Field::Bytes(line)) => {
                    for field in fields(line) {
                        if let (1, Field::Number(function)) = field {
                            check(5, function);
                        }
                    }
                }
                (number, _) => panic!("field {number} of a location"),
            }
        }
    }
    for function in messages(5) {
        for field in fields(function) {
            if let (2..=4, Field::Number(at)) = field {
                check(0, at);
            }
        }
    }
    samples
}
