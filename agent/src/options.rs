//! The options: one table that makes the parser, `help`, and the README's section.
//!
//! Owns syntax and defaults; what an option does is done elsewhere. Reads `@FILE` through a function it is
//! given. Invariant: parsing never fails as a whole: what is wrong becomes one line each, and the rest holds.

use crate::dump::Pattern;
use std::time::Duration;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the report goes; standard error when there is none.
    pub file: Option<Pattern>,
    /// How it is written.
    pub format: Format,
    /// Which signal asks for a report, and whether the user named it.
    pub signal: Choice<Option<Signal>>,
    /// Force a collection before each report.
    pub gc: bool,
    /// How long a report with `gc` waits for finalizers and Cleaners.
    pub gc_wait: Duration,
    /// Frames kept of each stack.
    pub depth: usize,
    /// Whether a bad option keeps the JVM from starting.
    pub strict: bool,
    /// Print the table.
    pub help: bool,
}

/// A value, and whether it was the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<T> {
    /// The value.
    pub value: T,
    /// Whether the user gave it.
    pub explicit: bool,
}

/// A report's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs (`docs/json-report.md`).
    Json,
}

/// A signal that may ask for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Without `SIG`.
    pub name: &'static str,
    /// Its number on Linux (`signal(7)`, x86 and ARM).
    pub number: i32,
}

/// Signals that do nothing else in a JVM. The others belong to HotSpot (QUIT, USR2, the faults), end processes
/// by custom, or cannot be caught.
const SIGNALS: &[Signal] = &[
    Signal { name: "USR1", number: 10 },
    Signal { name: "URG", number: 23 },
    Signal { name: "VTALRM", number: 26 },
    Signal { name: "PROF", number: 27 },
    Signal { name: "WINCH", number: 28 },
    Signal { name: "IO", number: 29 },
    Signal { name: "PWR", number: 30 },
];

const DEFAULT_SIGNAL: Signal = Signal { name: "USR1", number: 10 };

/// The most frames that may be asked for: 16 bytes each on the stack of the thread that calls the constructor,
/// well within what HotSpot keeps free for native methods (`StackShadowPages`).
pub const MAX_DEPTH: usize = 2_048;

/// Below this no wait could succeed: it must see finalizers and Cleaners at rest for a while, more than once.
const LEAST_GC_WAIT: Duration = Duration::from_millis(100);

impl Default for Options {
    fn default() -> Self {
        Options {
            file: None,
            format: Format::Text,
            signal: Choice { value: Some(DEFAULT_SIGNAL), explicit: false },
            gc: false,
            gc_wait: Duration::from_secs(5),
            depth: 1_024,
            strict: false,
            help: false,
        }
    }
}

/// One row of the table.
struct Row {
    name: &'static str,
    /// What stands behind `=`; empty for a switch.
    value: &'static str,
    default: &'static str,
    help: &'static str,
    set: fn(&mut Options, &str) -> Result<(), String>,
}

const TABLE: &[Row] = &[
    Row {
        name: "file",
        value: "PATH",
        default: "standard error",
        help: "where the report goes; %p is the process id, %t the UTC time; reports on demand get a number: r.json, r.1.json, r.2.json",
        set: |options, value| {
            options.file = Some(Pattern::parse(value)?);
            Ok(())
        },
    },
    Row {
        name: "format",
        value: "text|json",
        default: "text",
        help: "text for people, json for programs",
        set: |options, value| {
            options.format = match value {
                "text" => Format::Text,
                "json" => Format::Json,
                _ => return Err("there are text and json".into()),
            };
            Ok(())
        },
    },
    Row {
        name: "gc",
        value: "",
        default: "off",
        help: "force a collection before each report, the last one too, so that garbage is not called live",
        set: |options, value| {
            options.gc = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "gc_wait",
        value: "TIME",
        default: "5s",
        help: "with gc: how long a report waits at most for finalizers and Cleaners to do what the collection left to them",
        set: |options, value| {
            options.gc_wait = duration(value)?;
            if options.gc_wait < LEAST_GC_WAIT {
                options.gc_wait = Options::default().gc_wait;
                return Err(format!("at least {LEAST_GC_WAIT:?} is needed to see that nothing happens"));
            }
            Ok(())
        },
    },
    Row {
        name: "signal",
        value: "NAME|none",
        default: "USR1",
        help: "the signal that asks for a report; taken only while nobody else handles it; SIGQUIT always asks, and belongs to the JVM",
        set: |options, value| {
            options.signal = Choice { value: signal(value)?, explicit: true };
            Ok(())
        },
    },
    Row {
        name: "depth",
        value: "FRAMES",
        default: "1024",
        help: "frames kept of each allocation stack, 1 to 2048; a longer one is cut at its outer end and says so",
        set: |options, value| {
            let frames = number(value)?;
            match usize::try_from(frames) {
                Ok(frames) if (1..=MAX_DEPTH).contains(&frames) => options.depth = frames,
                _ => return Err(format!("a number from 1 to {MAX_DEPTH} is needed")),
            }
            Ok(())
        },
    },
    Row {
        name: "strict",
        value: "",
        default: "off",
        help: "a bad option keeps the JVM from starting; without it the option is ignored, with a line on standard error",
        set: |options, value| {
            options.strict = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "help",
        value: "",
        default: "off",
        help: "print this table on standard error, and go on",
        set: |options, value| {
            options.help = switch(value)?;
            Ok(())
        },
    },
];

/// What came of an options string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Defaults, with all that was understood.
    pub options: Options,
    /// One line for each thing that was not.
    pub complaints: Vec<String>,
}

impl Parsed {
    /// Reads `key[=value],…` on top of what is there; the last of two values for one option holds.
    /// `read` gives the text of an `@FILE`.
    pub fn read(&mut self, text: &str, read: &dyn Fn(&str) -> Result<String, String>) {
        for item in split(text) {
            match item.strip_prefix('@') {
                None => self.item(&item),
                Some(path) => match read(path) {
                    Ok(text) => text
                        .lines()
                        .filter(|line| !line.trim_start().starts_with('#'))
                        .for_each(|line| split(line).iter().for_each(|item| self.item(item))),
                    Err(why) => self.complaints.push(format!("cannot read options from {path}: {why}")),
                },
            }
        }
    }

    fn item(&mut self, item: &str) {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        let Some(row) = TABLE.iter().find(|row| row.name == name) else {
            self.complaints.push(match nearest(name) {
                Some(nearest) => format!("unknown option {name:?}; did you mean {nearest:?}?"),
                None => format!("unknown option {name:?}; the option help lists all"),
            });
            return;
        };
        let result = if value.is_empty() && !row.value.is_empty() {
            Err(format!("a value is needed: {name}={}", row.value))
        } else {
            (row.set)(&mut self.options, value)
        };
        if let Err(why) = result {
            self.complaints.push(format!("bad option {item:?}: {why}"));
        }
    }
}

/// Splits at commas; `\,` is a comma of the value. Blanks around an item and empty items are nothing.
fn split(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ',' => items.push(String::new()),
            '\\' if rest.peek() == Some(&',') => {
                rest.next();
                items.last_mut().into_iter().for_each(|item| item.push(','));
            }
            c => items.last_mut().into_iter().for_each(|item| item.push(c)),
        }
    }
    items.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "" | "true" | "on" => Ok(true),
        "false" | "off" => Ok(false),
        _ => Err("it is a switch: give it alone, or with true or false".into()),
    }
}

/// A whole number, with `k`, `m` or `g` for powers of 1,024.
fn number(value: &str) -> Result<u64, String> {
    let (digits, unit) = value.split_at(value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err(format!("unknown unit {unit:?}; there are k, m and g")),
    };
    let number: u64 = digits.parse().map_err(|_| "a whole number is needed".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "the number is too large".into())
}

/// A time with its unit: `ms`, `s`, `m` or `h`.
fn duration(value: &str) -> Result<Duration, String> {
    let (digits, unit) = value.split_at(value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => return Err("a unit is needed: ms, s, m or h".into()),
        _ => return Err(format!("unknown unit {unit:?}; there are ms, s, m and h")),
    };
    let number: u64 =
        digits.parse().map_err(|_| "a whole number and its unit are needed, as in 5s".to_owned())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "the time is too long".into())
}

fn signal(value: &str) -> Result<Option<Signal>, String> {
    let upper = value.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    match (name, SIGNALS.iter().find(|signal| signal.name == name)) {
        (_, Some(signal)) => Ok(Some(*signal)),
        ("NONE", _) => Ok(None),
        ("QUIT" | "USR2", _) => Err(format!("SIG{name} belongs to the JVM; SIGUSR1 is free")),
        ("KILL" | "STOP", _) => Err(format!("SIG{name} cannot be caught; SIGUSR1 is free")),
        _ => Err(format!(
            "not a signal that a report can be asked for with; there are {}",
            SIGNALS.iter().map(|signal| signal.name).collect::<Vec<_>>().join(", ")
        )),
    }
}

/// The name that was probably meant: at most two slips away, or the rest of a beginning.
fn nearest(name: &str) -> Option<&'static str> {
    let names = || TABLE.iter().map(|row| row.name);
    let close = names().map(|known| (distance(name, known), known)).filter(|(slips, _)| *slips <= 2).min();
    let begun = || names().find(|known| name.len() >= 2 && known.starts_with(name));
    close.map(|(_, known)| known).or_else(begun)
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (cell, to) in row.iter_mut().zip(std::iter::once(None).chain(b.chars().map(Some))) {
            let value = match to {
                None => i + 1,
                Some(to) => (*cell + 1).min(left + 1).min(diagonal + usize::from(from != to)),
            };
            diagonal = std::mem::replace(cell, value);
            left = value;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The table as `help` prints it.
pub fn help() -> String {
    let mut text = String::from(
        "usage: java -agentpath:/path/to/libzaudit.so=OPTION[=VALUE],… (\\, for a comma in a value; @FILE reads options from a file;\n       the environment variable ZAUDIT_OPTIONS is read first)\n",
    );
    for row in TABLE {
        let left =
            if row.value.is_empty() { row.name.to_owned() } else { format!("{}={}", row.name, row.value) };
        text.push_str(&format!("  {left:<17} {} [{}]\n", row.help, row.default));
    }
    text
}

/// The table as the README has it.
pub fn markdown() -> String {
    let mut text = String::from("| option | default | meaning |\n| --- | --- | --- |\n");
    for row in TABLE {
        let equals = if row.value.is_empty() { "" } else { "=" };
        let value = row.value.replace('|', "\\|");
        text.push_str(&format!("| `{}{equals}{value}` | {} | {} |\n", row.name, row.default, row.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Parsed {
        let mut parsed = Parsed::default();
        parsed.read(text, &|path| match path {
            "good" => Ok("# comment\nformat=json, gc\n\n  depth=7\n".into()),
            _ => Err("No such file or directory".into()),
        });
        parsed
    }

    #[test]
    fn good_ones() {
        let json = Options { format: Format::Json, ..Options::default() };
        for (text, expected) in [
            ("", Options::default()),
            (",, ,", Options::default()),
            ("format=json", json.clone()),
            ("format=text,format=json", json.clone()),
            ("gc", Options { gc: true, ..Options::default() }),
            ("gc,gc=false", Options::default()),
            ("depth=1k", Options::default()),
            ("depth=64", Options { depth: 64, ..Options::default() }),
            ("gc_wait=250ms", Options { gc_wait: Duration::from_millis(250), ..Options::default() }),
            ("gc_wait=2m", Options { gc_wait: Duration::from_secs(120), ..Options::default() }),
            (r"file=a\,b.txt", Options { file: Pattern::parse("a,b.txt").ok(), ..Options::default() }),
            (r"file=a\b.txt", Options { file: Pattern::parse(r"a\b.txt").ok(), ..Options::default() }),
            ("@good", Options { depth: 7, gc: true, ..json }),
            ("signal=none", Options { signal: Choice { value: None, explicit: true }, ..Options::default() }),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.complaints, [""; 0], "{text}");
            assert_eq!(parsed.options, expected, "{text}");
        }
        assert_eq!(parse("signal=SIGWINCH").options.signal.value.map(|s| s.number), Some(28));
    }

    #[test]
    fn bad_ones_are_one_line_each_and_change_nothing() {
        for (text, says) in [
            ("fromat=json", "did you mean \"format\""),
            ("sig=USR1", "did you mean \"signal\""),
            ("xyzzy", "the option help lists all"),
            ("format", "a value is needed: format=text|json"),
            ("format=", "a value is needed"),
            ("format=xml", "there are text and json"),
            ("depth=0", "from 1 to 2048"),
            ("depth=9999", "from 1 to 2048"),
            ("depth=-1", "whole number"),
            ("depth=5q", "unknown unit \"q\""),
            ("depth=99999999999999999999", "whole number"),
            ("depth=99999999999999999g", "too large"),
            ("gc=maybe", "it is a switch"),
            ("gc_wait=10ms", "at least 100ms"),
            ("gc_wait=5", "a unit is needed"),
            ("gc_wait=s", "as in 5s"),
            ("gc_wait=5d", "unknown unit \"d\""),
            ("gc_wait=99999999999999999h", "too long"),
            ("signal=QUIT", "belongs to the JVM"),
            ("signal=SIGUSR2", "belongs to the JVM"),
            ("signal=kill", "cannot be caught"),
            ("signal=FOO", "there are USR1"),
            ("file=r%x", "unknown %x"),
            ("@nowhere", "cannot read options from nowhere: No such file"),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.complaints.len(), 1, "{text}: {:?}", parsed.complaints);
            assert!(parsed.complaints[0].contains(says), "{text}: {}", parsed.complaints[0]);
            assert!(!parsed.complaints[0].contains('\n'));
            assert_eq!(parsed.options, Options::default(), "{text}");
        }
    }

    #[test]
    fn what_is_good_beside_what_is_bad_holds() {
        let parsed = parse("format=json,bogus,gc");
        assert_eq!(parsed.complaints.len(), 1);
        assert!(parsed.options.gc && parsed.options.format == Format::Json);
    }

    #[test]
    fn distances() {
        for (a, b, slips) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("fromat", "format", 2),
            ("kitten", "sitting", 3),
            ("gc", "", 2),
        ] {
            assert_eq!(distance(a, b), slips, "{a} {b}");
        }
    }

    #[test]
    fn the_default_column_is_the_default() {
        for row in TABLE.iter().filter(|row| !row.value.is_empty() && row.name != "file") {
            let mut options = Options::default();
            (row.set)(&mut options, row.default).unwrap();
            options.signal.explicit = false;
            assert_eq!(options, Options::default(), "{}", row.name);
        }
    }
}
