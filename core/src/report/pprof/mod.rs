//! A profile for `go tool pprof` and programs that read its files: one sample a site.
//!
//! `docs/formats.md` says what the numbers are; [`proto`] encodes them. Invariant: each sample type
//! adds up to the report's total, adopted instances included, and no name in it has control
//! characters.

mod proto;

use super::collapsed::{ADOPTED, OTHERS};
use super::words::brief;
use super::{Report, lost, millis};
use crate::analysis::classify::{ClassifiedSite, SiteStats};
use crate::model::{Frame, Kind, OutOfMemory, push};
use proto::{Gzip, Message};
use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;

/// The values of each sample, with their units. Whole numbers: in MiB·s, 25 seconds of an Inflater
/// would round to 0 or 1.
const SAMPLE_TYPES: [(&str, &str); 6] = [
    ("leaked_objects", "count"),
    ("leaked_space", "bytes"),
    ("live_objects", "count"),
    ("live_space", "bytes"),
    ("alloc_objects", "count"),
    ("lateness", "KiB·s"),
];

/// Characters of a name and of a label: Graphviz, which draws for pprof, takes no string beyond 16
/// KiB, and one may hold two names or all labels of a sample.
const NAME: usize = 1_000;
const LABEL: usize = 200;

/// Values are signed on the other side.
const MOST: u64 = i64::MAX as u64;

/// Everything is in one mapping that says its names are known: else readers look for a program's
/// symbols.
const MAPPING: u64 = 1;

/// Bytes of the message that are kept before they are compressed.
const PIECE: usize = 32 << 10;

pub(super) fn render(report: &Report, to: &mut dyn io::Write) -> io::Result<()> {
    let mut file = Gzip::new(to);
    let mut profile = Profile::default();
    // The empty string comes first.
    profile.string("")?;
    for (name, unit) in SAMPLE_TYPES {
        let sample_type = profile.value_type(name, unit)?;
        profile.whole.message(1, &sample_type);
    }
    for classified in &report.classification.sites {
        profile.site(classified)?;
        if profile.whole.len() >= PIECE && !file.take(&mut profile.whole) {
            return file.finish();
        }
    }
    for kind in Kind::ALL {
        profile.others(report, kind)?;
        profile.adopted(report, kind)?;
    }
    profile.origin(report)?;
    file.take(&mut profile.whole);
    file.finish()
}

/// The message as it grows, and the numbers of what was in it. Fields of a message may come in any
/// order.
#[derive(Default)]
struct Profile<'a> {
    /// What was not written yet.
    whole: Message,
    strings: HashMap<String, u64>,
    functions: HashMap<(u64, u64), u64>,
    locations: HashMap<(u64, u32), u64>,
    /// Locations by where their frame is in memory: stacks share frames, and there are far more
    /// stacks than frames.
    frames: HashMap<*const Frame, u64>,
    /// What keeps them there.
    report: PhantomData<&'a Report>,
}

impl<'a> Profile<'a> {
    fn site(&mut self, classified: &'a ClassifiedSite) -> Result<(), OutOfMemory> {
        let stats = &classified.stats;
        let mut stack = Vec::new();
        for frame in classified.site.frames() {
            push(&mut stack, self.frame(frame)?)?;
        }
        let threads = classified.site.threads();
        let class = classified.site.subclass.iter().map(|class| ("class", class.as_str()));
        let labels = [("severity", stats.severity().name()), ("kind", stats.kind.name())]
            .into_iter()
            .chain(class)
            .chain(threads.iter().map(|thread| ("thread", thread.as_ref())));
        self.sample(&stack, values(stats), labels)
    }

    /// The sums of the sites that the report leaves out.
    fn others(&mut self, report: &Report, kind: Kind) -> Result<(), OutOfMemory> {
        let Some(others) = report.classification.others.get(kind) else { return Ok(()) };
        let stack = self.without_stack(kind, OTHERS)?;
        let labels = [("severity", others.stats.severity().name()), ("kind", kind.name())];
        self.sample(&stack, values(&others.stats), labels.into_iter())
    }

    /// Their creation was not seen, so they do not count as allocated.
    fn adopted(&mut self, report: &Report, kind: Kind) -> Result<(), OutOfMemory> {
        let tally = report.adopted.get(kind);
        let (leaked, live) = (lost(tally), tally.live);
        if leaked + live == 0 {
            return Ok(());
        }
        let stack = self.without_stack(kind, ADOPTED)?;
        let bytes = |instances| report.native.bytes(kind, instances);
        let stats = if leaked > 0 { "leak" } else { "suspect" };
        let labels = [("severity", stats), ("kind", kind.name())];
        self.sample(&stack, [leaked, bytes(leaked), live, bytes(live), 0, 0], labels.into_iter())
    }

    /// A stack of two frames that stands for those that are not known.
    fn without_stack(&mut self, kind: Kind, why: &str) -> Result<[u64; 2], OutOfMemory> {
        let class = format!("java.util.zip.{}", kind.noun());
        Ok([self.location(&class, "", 0)?, self.location(why, "", 0)?])
    }

    fn sample<'l>(
        &mut self,
        stack: &[u64],
        values: [u64; SAMPLE_TYPES.len()],
        labels: impl Iterator<Item = (&'l str, &'l str)>,
    ) -> Result<(), OutOfMemory> {
        let mut sample = Message::default();
        sample.numbers(1, stack.iter().copied()).numbers(2, values.map(|value| value.min(MOST)));
        for (name, value) in labels {
            let (name, value) = (self.string(name)?, self.string(&tame(value))?);
            sample.message(3, Message::default().number(1, name).number(2, value));
        }
        self.whole.message(2, &sample);
        Ok(())
    }

    fn frame(&mut self, frame: &'a Frame) -> Result<u64, OutOfMemory> {
        let finding = std::ptr::from_ref(frame);
        if let Some(known) = self.frames.get(&finding) {
            return Ok(*known);
        }
        self.frames.try_reserve(1)?;
        let name = format!("{}.{}", frame.class, frame.method);
        let location = self.location(
            &name,
            frame.file.as_deref().unwrap_or_default(),
            frame.line.unwrap_or_default(),
        )?;
        self.frames.insert(finding, location);
        Ok(location)
    }

    fn location(&mut self, name: &str, file: &str, line: u32) -> Result<u64, OutOfMemory> {
        let function = self.function(name, file)?;
        if let Some(known) = self.locations.get(&(function, line)) {
            return Ok(*known);
        }
        self.locations.try_reserve(1)?;
        let next = self.locations.len() as u64 + 1;
        let mut at = Message::default();
        at.number(1, function).number(2, u64::from(line));
        let mut location = Message::default();
        location.number(1, next).number(2, MAPPING).message(4, &at);
        self.whole.message(4, &location);
        self.locations.insert((function, line), next);
        Ok(next)
    }

    fn function(&mut self, name: &str, file: &str) -> Result<u64, OutOfMemory> {
        let (name, file) = (self.string(&brief(name, NAME))?, self.string(&brief(file, NAME))?);
        if let Some(known) = self.functions.get(&(name, file)) {
            return Ok(*known);
        }
        self.functions.try_reserve(1)?;
        let next = self.functions.len() as u64 + 1;
        let mut function = Message::default();
        function.number(1, next).number(2, name).number(3, name).number(4, file);
        self.whole.message(5, &function);
        self.functions.insert((name, file), next);
        Ok(next)
    }

    fn string(&mut self, text: &str) -> Result<u64, OutOfMemory> {
        if let Some(known) = self.strings.get(text) {
            return Ok(*known);
        }
        self.strings.try_reserve(1)?;
        let next = self.strings.len() as u64;
        self.whole.text(6, text.as_bytes());
        self.strings.insert(text.to_owned(), next);
        Ok(next)
    }

    fn value_type(&mut self, name: &str, unit: &str) -> Result<Message, OutOfMemory> {
        let mut message = Message::default();
        message.number(1, self.string(name)?).number(2, self.string(unit)?);
        Ok(message)
    }

    /// The process, and the time of the report.
    fn origin(&mut self, report: &Report) -> Result<(), OutOfMemory> {
        const NANOS: u64 = 1_000_000;
        let process = &report.process;
        let program = self.string(&tame(process.program()))?;
        let mut mapping = Message::default();
        mapping.number(1, MAPPING).number(5, program).number(7, 1).number(8, 1).number(9, 1);
        let one = self.value_type("instances", "count")?;
        let default = self.string(if report.leaks() { "leaked_space" } else { "live_space" })?;
        let mut comments = [0; 3];
        let texts = [
            format!("zaudit {}", env!("CARGO_PKG_VERSION")),
            format!("pid {}: {}", process.pid, process.command),
            process.jvm.clone(),
        ];
        for (number, text) in comments.iter_mut().zip(texts) {
            *number = self.string(&brief(&text, NAME))?;
        }
        self.whole
            .message(3, &mapping)
            .number(9, millis(process.taken) * NANOS)
            .number(10, (report.age_seconds * 1e3).round() as u64 * NANOS)
            .message(11, &one)
            .number(12, 1)
            .numbers(13, comments)
            .number(14, default);
        Ok(())
    }
}

/// What a sample has of each type.
fn values(stats: &SiteStats) -> [u64; SAMPLE_TYPES.len()] {
    [
        stats.leaked,
        stats.leaked.saturating_mul(stats.bytes_each),
        stats.tally.live,
        stats.bytes_held(),
        stats.tally.counts.created,
        (stats.lateness() / 1_024.0).round() as u64,
    ]
}

/// What pprof draws, it hands to Graphviz in quotes; labels and the program's name it forgets to
/// escape there.
fn tame(text: &str) -> String {
    brief(text, LABEL).replace('"', "'").replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Format;
    use crate::report::tests::{golden, hostile, rendered, report, sample};

    fn unzipped(report: &Report) -> Vec<u8> {
        let bytes = rendered(report, Format::Pprof);
        miniz_oxide::inflate::decompress_to_vec(&bytes[10..bytes.len() - 8]).unwrap()
    }

    #[derive(Debug)]
    enum Value<'a> {
        Number(u64),
        Bytes(&'a [u8]),
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut number = 0;
        for finding in 0.. {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            number |= u64::from(byte & 0x7f) << (7 * finding);
            if byte < &0x80 {
                return number;
            }
        }
        unreachable!()
    }

    fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let (key, number) = (varint(&mut bytes), varint(&mut bytes));
            if key & 7 == 0 {
                fields.push((key >> 3, Value::Number(number)));
            } else {
                let (text, rest) = bytes.split_at(number as usize);
                fields.push((key >> 3, Value::Bytes(text)));
                bytes = rest;
            }
        }
        fields
    }

    /// In the words of `profile.proto`, one field a line, with strings for their numbers. Kinds of
    /// fields: a letter each, `s`tring, `n`umber, packed `N`umbers, packed `S`trings, or a
    /// message's name.
    fn dump(bytes: &[u8], message: &str, strings: &[&str], depth: usize, out: &mut String) {
        let schema: &[(u64, &str, &str)] = match message {
            "Profile" => &[
                (1, "sample_type", "ValueType"),
                (2, "sample", "Sample"),
                (3, "mapping", "Mapping"),
                (4, "location", "Location"),
                (5, "function", "Function"),
                (6, "string_table", "-"),
                (9, "time_nanos", "n"),
                (10, "duration_nanos", "n"),
                (11, "period_type", "ValueType"),
                (12, "period", "n"),
                (13, "comment", "S"),
                (14, "default_sample_type", "s"),
            ],
            "ValueType" => &[(1, "type", "s"), (2, "unit", "s")],
            "Sample" => &[(1, "location_id", "N"), (2, "value", "N"), (3, "label", "Label")],
            "Label" => &[(1, "key", "s"), (2, "str", "s")],
            "Mapping" => &[
                (1, "id", "n"),
                (5, "filename", "s"),
                (7, "has_functions", "n"),
                (8, "has_filenames", "n"),
                (9, "has_line_numbers", "n"),
            ],
            "Location" => &[(1, "id", "n"), (2, "mapping_id", "n"), (4, "line", "Line")],
            "Line" => &[(1, "function_id", "n"), (2, "line", "n")],
            "Function" => {
                &[(1, "id", "n"), (2, "name", "s"), (3, "system_name", "s"), (4, "filename", "s")]
            }
            other => panic!("{other}"),
        };
        for (number, value) in fields(bytes) {
            let (_, name, sort) = schema.iter().find(|row| row.0 == number).unwrap();
            let string = |at: u64| format!("{:?}", strings[at as usize]);
            let packed = |mut bytes: &[u8], show: &dyn Fn(u64) -> String| {
                std::iter::from_fn(|| (!bytes.is_empty()).then(|| show(varint(&mut bytes))))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let text = match (*sort, value) {
                ("-", _) => continue,
                ("s", Value::Number(at)) => string(at),
                ("n", Value::Number(number)) => number.to_string(),
                ("S", Value::Bytes(bytes)) => packed(bytes, &string),
                ("N", Value::Bytes(bytes)) => packed(bytes, &|number| number.to_string()),
                (message, Value::Bytes(bytes)) => {
                    out.push_str(&format!("{}{name}\n", "  ".repeat(depth)));
                    dump(bytes, message, strings, depth + 1, out);
                    continue;
                }
                (sort, value) => panic!("{name} is no {sort}: {value:?}"),
            };
            out.push_str(&format!("{}{name}: {text}\n", "  ".repeat(depth)));
        }
    }

    #[test]
    fn as_the_golden_has_it() {
        let bytes = unzipped(&sample());
        let strings: Vec<&str> = fields(&bytes)
            .into_iter()
            .filter_map(|field| match field {
                (6, Value::Bytes(text)) => Some(std::str::from_utf8(text).unwrap()),
                _ => None,
            })
            .collect();
        assert_eq!(strings[0], "");
        let mut text = String::new();
        dump(&bytes, "Profile", &strings, 0, &mut text);
        let version = format!("\"zaudit {}\"", env!("CARGO_PKG_VERSION"));
        golden("report.pprof.txt", text.replace(&version, "\"zaudit VERSION\"").as_bytes());
    }

    #[test]
    fn names_are_clean() {
        let bytes = unzipped(&report(&hostile()));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("</script>\u{1F600};\\u{a}3 4"), "{text}");
        assert!(!text.contains("\u{1b}["), "{text}");
    }

    #[test]
    fn same_report_same_bytes() {
        assert_eq!(rendered(&sample(), Format::Pprof), rendered(&sample(), Format::Pprof));
    }
}
