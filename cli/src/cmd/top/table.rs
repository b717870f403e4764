//! The table of `zaudit top`: the worst findings, and what has changed since the previous report.
//!
//! Owns the columns and their order; what a finding is, and which frame it blames, is
//! [`zaudit_core::analysis::findings`]'s, as in every report. Invariant: the same two reports give
//! the same text, no line is wider than the terminal, and no name moves its cursor.

use crate::error::one_line;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write;
use std::ops::AddAssign;
use zaudit_core::analysis::findings::{Finding, findings};
use zaudit_core::ledger::Tally;
use zaudit_core::model::{Kind, OutOfMemory, Outcome};
use zaudit_core::report::{Report, frame};
use zaudit_core::wording::bytes;

/// How much of the table fits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Characters in a line; `None` for no limit.
    pub(crate) columns: Option<usize>,
    /// Lines in the table; `None` for no limit.
    pub(crate) lines: Option<usize>,
}

impl Size {
    /// For output that is not a terminal.
    pub(crate) const UNLIMITED: Size = Size { columns: None, lines: None };
}

/// The table of `now`, with the changes since `before`.
pub(crate) fn render(
    pid: i32,
    now: &Report,
    before: Option<&Report>,
    size: Size,
) -> Result<String, OutOfMemory> {
    let mut lines = vec![format!("zaudit top  process {pid}  {}", one_line(&now.process.command))];
    for kind in Kind::ALL {
        let numbers = Numbers::of_kind(now, kind);
        if kind == Kind::ZipEntry && numbers.created == 0 {
            continue;
        }
        let change = before
            .map(|before| changes(numbers, Numbers::of_kind(before, kind)))
            .unwrap_or_default();
        let change = if change.is_empty() { change } else { format!(" ({change})") };
        let outcomes = outcomes(now, numbers);
        let kinds = format!("{}s", kind.noun().to_lowercase());
        lines.push(format!("{kinds}  {} created{change}, {outcomes}", numbers.created));
    }
    let adopted = Numbers::adopted(now);
    if adopted.created > 0 {
        lines.push(format!("adopted    {} found, {}", adopted.created, outcomes(now, adopted)));
    }
    if !now.health.ok() {
        lines.push(format!("HEALTH: some counts may be incomplete; zaudit dump {pid} shows why"));
    }
    lines.push(String::new());
    lines.push(format!(
        "{:>10} {:>9} {:>10} {:>8} {:>9} {:>8} {:>8} {:>11}  KIND      FINDING",
        "CREATED", "NEW", "ENDED", "LATE", "COLLECTED", "LIVE", "CHANGE", "HELD"
    ));
    let findings = findings(&now.classification.sites)?;
    let old = before.map(Sites::of);
    // Findings come worst first; the rest need not be visible.
    let room = size.lines.map_or(usize::MAX, |all| all.saturating_sub(lines.len() + 1));
    let rest = findings.len().saturating_sub(room);
    for finding in findings.iter().take(room) {
        lines.push(row(now, finding, old.as_ref().and_then(|old| old.numbers(finding))));
    }
    if rest > 0 {
        lines.push(format!("and {rest} more"));
    } else if findings.is_empty() {
        lines.push("no Inflater or Deflater was created yet".into());
    }
    let mut text = String::new();
    for line in lines {
        let cut: String = line.chars().take(size.columns.unwrap_or(usize::MAX)).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{cut}");
    }
    Ok(text)
}

/// What became of the instances of a kind or of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Numbers {
    created: u64,
    /// In the order of [`Outcome::ALL`].
    outcomes: [u64; Outcome::ALL.len()],
    /// Native bytes that the live ones hold.
    bytes_held: u64,
}

impl Numbers {
    fn of_kind(report: &Report, kind: Kind) -> Numbers {
        let totals = report.classification.totals.get(kind);
        Numbers {
            created: totals.created,
            outcomes: Outcome::ALL.map(|outcome| totals.of(outcome)),
            bytes_held: report.native.bytes(kind, totals.live),
        }
    }

    fn adopted(report: &Report) -> Numbers {
        let mut sum = Numbers::default();
        for kind in Kind::CLASSES {
            let tally = report.adopted.get(kind);
            sum.add(tally, report.native.bytes(kind, tally.live));
        }
        sum
    }

    fn add(&mut self, tally: &Tally, bytes_held: u64) {
        let outcomes = Outcome::ALL.map(|outcome| tally.of(outcome));
        *self += Numbers { created: tally.counts.created, outcomes, bytes_held };
    }

    fn live(&self) -> u64 {
        let [_, _, _, live] = self.outcomes;
        live
    }
}

impl AddAssign for Numbers {
    fn add_assign(&mut self, other: Numbers) {
        self.created += other.created;
        self.outcomes.iter_mut().zip(other.outcomes).for_each(|(sum, number)| *sum += number);
        self.bytes_held += other.bytes_held;
    }
}

/// The numbers of the sites of an older report, by the site's id. A site keeps its id; which
/// finding it belongs to may change with what is found at its neighbours.
struct Sites {
    numbers: HashMap<u64, Numbers>,
    /// Whether sites that are not among them had nothing: a report does not list every clean site.
    complete: bool,
}

impl Sites {
    fn of(report: &Report) -> Sites {
        let numbers = report.classification.sites.iter().map(|classified| {
            let mut numbers = Numbers::default();
            numbers.add(&classified.stats.tally, classified.stats.bytes_held());
            (classified.site.stable_id, numbers)
        });
        Sites { numbers: numbers.collect(), complete: report.classification.sites_left_out() == 0 }
    }

    /// The older numbers of a finding's sites; `None` where they are not known.
    fn numbers(&self, finding: &Finding<'_>) -> Option<Numbers> {
        let mut sum = Numbers::default();
        for classified in &finding.sites {
            match self.numbers.get(&classified.site.stable_id) {
                Some(old) => sum += *old,
                None if self.complete => {}
                None => return None,
            }
        }
        Some(sum)
    }
}

fn outcomes(report: &Report, numbers: Numbers) -> String {
    let outcomes = Outcome::ALL.iter().zip(numbers.outcomes);
    let outcomes: String =
        outcomes.map(|(outcome, number)| format!("{number} {}, ", outcome.name())).collect();
    format!("{outcomes}{} held", held(report, numbers.bytes_held))
}

fn held(report: &Report, bytes_held: u64) -> String {
    let prefix = if bytes_held > 0 { report.native.approx_prefix() } else { "" };
    format!("{prefix}{}", bytes(bytes_held))
}

fn row(report: &Report, finding: &Finding<'_>, last: Option<Numbers>) -> String {
    let mut now = Numbers::default();
    now.add(&finding.stats.tally, finding.stats.bytes_held());
    let Numbers { created, outcomes: [ended, late, collected, live], bytes_held } = now;
    let (new, change) = last.map_or_else(Default::default, |last| {
        (difference(created, last.created), difference(live, last.live()))
    });
    let held = held(report, bytes_held);
    let blamed =
        finding.sites.first().and_then(|worst| worst.site.frames().nth(finding.blame_frame));
    let blamed = blamed.map_or_else(|| "(no stack)".into(), frame);
    let kind = finding.stats.kind.name();
    format!(
        "{created:>10} {new:>9} {ended:>10} {late:>8} {collected:>9} {live:>8} {change:>8} {held:>11}  {kind:8}  {blamed}"
    )
}

/// `+12, -3 live`: how many more were created since the previous report, and how many more or fewer
/// are live.
fn changes(now: Numbers, last: Numbers) -> String {
    let (new, live) = (difference(now.created, last.created), difference(now.live(), last.live()));
    match (new.is_empty(), live.is_empty()) {
        (true, true) => String::new(),
        (false, true) => new,
        (true, false) => format!("{live} live"),
        (false, false) => format!("{new}, {live} live"),
    }
}

/// The difference with its sign, empty where there is none. After a reset counts go down.
fn difference(now: u64, last: u64) -> String {
    match now.cmp(&last) {
        Ordering::Less => format!("-{}", last - now),
        Ordering::Equal => String::new(),
        Ordering::Greater => format!("+{}", now - last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use zaudit_core::escape;
    use zaudit_core::options::Format;
    use zaudit_core::report::Style;

    /// The agent's golden report, after some change.
    fn report(change: impl FnOnce(&mut Value)) -> Report {
        let golden = include_bytes!("../../../../tests/goldens/report.json");
        let mut root = serde_json::from_slice(golden).unwrap();
        change(&mut root);
        Report::read(&serde_json::to_vec(&root).unwrap()).unwrap()
    }

    fn table(now: &Report, before: Option<&Report>) -> String {
        render(42, now, before, Size::UNLIMITED).unwrap()
    }

    /// The words of the line that ends with this frame.
    fn words(text: &str, end: &str) -> Vec<String> {
        let line = text
            .lines()
            .find(|line| line.ends_with(end))
            .unwrap_or_else(|| panic!("{end}: {text}"));
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// Adds created and live instances to a site of the golden, and to the sums.
    fn add_live(root: &mut Value, site: usize, number: u64) {
        let kind = root["sites"][site]["kind"].as_str().unwrap().to_owned();
        for field in ["created", "live"] {
            for counts in ["site", "totals"] {
                let counts = match counts {
                    "site" => &mut root["sites"][site],
                    _ => &mut root["totals"][&kind],
                };
                counts[field] = (counts[field].as_u64().unwrap() + number).into();
            }
        }
        let suspects = &mut root["sites"][site]["suspects"];
        *suspects = (suspects.as_u64().unwrap() + number).into();
    }

    #[test]
    fn a_table() {
        let (before, now) = (report(|_| {}), report(|root| add_live(root, 2, 3)));
        let text = table(&now, Some(&before));
        assert!(text.starts_with("zaudit top  process 42  org.acme.Main --serve\n"), "{text}");
        assert!(
            text.contains("\ninflaters  2026 created, 2005 ended, 0 late, 2 collected, 19 live, "),
            "{text}"
        );
        assert!(text.contains("\ndeflaters  188 created (+3, +3 live), 0 ended, "), "{text}");
        assert!(text.contains("adopted    40 found, 14 ended, "), "{text}");
        let outbox = words(&text, "org.acme.mail.Outbox.pack(Outbox.java:11)");
        assert_eq!(outbox[..7], ["184", "+3", "0", "0", "0", "184", "+3"], "{text}");
        assert_eq!(outbox[7..10], ["≈47.1", "MiB", "deflater"], "{text}");
        assert!(!table(&now, None).contains('+'));
        assert!(!table(&now, Some(&now)).contains('+'));
    }

    #[test]
    fn health() {
        let unwell = report(|root| {
            root["health"]["ok"] = false.into();
            root["health"]["overflowed_stacks"] = 1.into();
        });
        assert!(!unwell.health.ok());
        assert!(
            table(&unwell, None)
                .contains("HEALTH: some counts may be incomplete; zaudit dump 42 shows why\n")
        );
    }

    /// Sites of one line of code are one row; a stack of nothing but the JDK's frames is blamed as
    /// in the report.
    #[test]
    fn a_row_a_finding_that_blames_the_same_frame_as_the_report() {
        let frame = |class: &str, method: &str, line: u32| {
            let file = format!("{}.java", class.rsplit('.').next().unwrap());
            json!({"class": class, "method": method, "file": file, "line": line})
        };
        let changed = report(|root| {
            // The innermost frames are the JDK's, in packages that a list of its own once did not
            // know, and in one that it took for the JDK's.
            root["sites"][0]["frames"] = json!([
                frame("java.util.zip.Deflater", "<init>", 1),
                frame("com.sun.proxy.Proxy", "call", 2),
                frame("zaudit.Sample", "pack", 3),
                frame("org.acme.Main", "main", 4),
            ]);
            // No frame but the JDK's.
            root["sites"][2]["frames"] = json!([
                frame("java.util.zip.Deflater", "<init>", 1),
                frame("java.util.jar.Inner", "open", 5),
                frame("java.lang.Outer", "run", 6),
            ]);
            // Another stack through the line of the one before.
            let mut other = root["sites"][1].clone();
            other["id"] = "1".into();
            other["frames"][2]["line"] = 999.into();
            root["sites"].as_array_mut().unwrap().insert(2, other);
        });
        let text = table(&changed, None);
        let mut report = Vec::new();
        changed.render(Format::Text, Style::default(), &mut report).unwrap();
        let report = String::from_utf8(report).unwrap();
        let findings = findings(&changed.classification.sites).unwrap();
        let rows: Vec<&str> =
            text.lines().skip_while(|line| !line.ends_with("FINDING")).skip(1).collect();
        assert_eq!(rows.len(), findings.len(), "{text}");
        assert!(findings.len() < changed.classification.sites.len());
        for blamed in [
            "zaudit.Sample.pack(Sample.java:3)",
            "java.util.jar.Inner.open(Inner.java:5)",
            "org.acme.Codec.decode(Codec.java:11)",
        ] {
            assert_eq!(rows.iter().filter(|row| row.ends_with(blamed)).count(), 1, "{text}");
            let heading =
                |line: &str| !line.starts_with(' ') && line.ends_with(&format!("  {blamed}"));
            assert!(report.lines().any(heading), "{blamed} is not blamed in: {report}");
        }
        assert_eq!(words(&text, "Codec.decode(Codec.java:11)")[0], "4000");
    }

    #[test]
    fn a_change_that_cannot_be_known_is_left_empty() {
        let now = report(|_| {});
        let fewer = |others: u64| {
            report(|root| {
                let sites = root["sites"].as_array_mut().unwrap();
                let clean = sites.pop().unwrap();
                if others > 0 {
                    let mut sum = json!({"sites": others, "truncated_sites": 0});
                    for (name, value) in clean.as_object().unwrap() {
                        sum[name] = value.clone();
                    }
                    root["other_sites"]["inflater"] = sum;
                }
            })
        };
        let new = |before: &Report| {
            let text = table(&now, Some(before));
            words(&text, "org.acme.Main.main(Main.java:12)")[1].clone()
        };
        assert_eq!(new(&fewer(0)), "+3");
        assert_eq!(new(&fewer(1)), "0", "the next column");
    }

    #[test]
    fn no_hostile_character_is_in_the_table() {
        let hostile = format!("a\u{1b}[2J\u{202e}{}", escape::samples().collect::<String>());
        let now = report(|root| {
            root["process"]["command"] = hostile.as_str().into();
            for site in root["sites"].as_array_mut().unwrap() {
                for frame in site["frames"].as_array_mut().into_iter().flatten() {
                    for field in ["class", "method", "file"] {
                        frame[field] = hostile.as_str().into();
                    }
                }
            }
        });
        let text = table(&now, None);
        assert!(!text.contains(|c| c != '\n' && escape::is_hostile(c)), "{text:?}");
        assert!(text.matches("\\u{202e}").count() > 4, "{text}");
    }

    #[test]
    fn no_wider_and_no_longer_than_the_screen() {
        for lines in 0..12 {
            let size = Size { columns: Some(40), lines: Some(lines) };
            let text = render(42, &report(|_| {}), None, size).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
            assert!(text.lines().count() <= lines.max(8), "{lines}: {text}");
        }
    }

    #[test]
    fn after_a_reset_counts_go_down() {
        let numbers = |created, live| Numbers { created, outcomes: [0, 0, 0, live], bytes_held: 0 };
        assert_eq!(changes(numbers(1, 0), numbers(9, 8)), "-8, -8 live");
        assert_eq!(changes(numbers(9, 8), numbers(9, 8)), "");
        assert_eq!(changes(numbers(10, 8), numbers(9, 8)), "+1");
    }
}
