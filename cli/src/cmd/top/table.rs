//! The table of `zaudit top`: the worst places, and what has changed since the last look.
//!
//! Owns columns and words. Invariant: the same two snapshots make the same text, no line is wider than it was told, and
//! nothing in it moves a cursor.

use crate::cmd::top::snapshot::{Counts, Site, Snapshot};
use crate::error::one_line;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write;

/// How much of it can be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Characters in a line; as many as there are where nobody says.
    pub(crate) columns: Option<usize>,
    /// Lines.
    pub(crate) lines: Option<usize>,
}

/// The table of `now`, with changes since `before`.
pub(crate) fn render(pid: i32, now: &Snapshot, before: Option<&Snapshot>, size: Size) -> String {
    let mut lines = vec![format!("zaudit top  process {pid}  {}", one_line(&now.process.command))];
    let totals = |snapshot: &Snapshot| [snapshot.totals.inflater.clone(), snapshot.totals.deflater.clone()];
    let old = before.map(totals);
    for (index, (name, counts)) in ["inflaters", "deflaters"].into_iter().zip(totals(now)).enumerate() {
        let change = change(&counts, old.as_ref().and_then(|old| old.get(index)));
        let change = if change.is_empty() { change } else { format!(" ({change})") };
        lines.push(format!("{name}  {} created{change}, {}", counts.created, fates(&counts)));
    }
    let adopted = &now.totals.adopted;
    if adopted.found > 0 {
        lines.push(format!("adopted    {} found, {}", adopted.found, fates(&adopted.counts)));
    }
    if now.health.ok == Some(false) {
        lines.push("HEALTH: not everything was seen; zaudit dump says what".into());
    }
    lines.push(String::new());
    lines.push(format!(
        "{:>10} {:>9} {:>10} {:>8} {:>9} {:>8} {:>8} {:>9}  KIND      PLACE",
        "CREATED", "NEW", "ENDED", "LATE", "COLLECTED", "LIVE", "CHANGE", "HELD"
    ));
    let old: HashMap<&str, &Counts> =
        before.iter().flat_map(|before| &before.sites).map(|site| (site.id.as_str(), &site.counts)).collect();
    // The report has the worst first; the rest need not be seen.
    let room = size.lines.map_or(usize::MAX, |all| all.saturating_sub(lines.len() + 1));
    let rest = now.sites.len().saturating_sub(room);
    for site in now.sites.iter().take(room) {
        let none = Counts::default();
        let last = before.map(|_| old.get(site.id.as_str()).copied().unwrap_or(&none));
        lines.push(line(site, last));
    }
    if rest > 0 {
        lines.push(format!("and {rest} more"));
    } else if now.sites.is_empty() {
        lines.push("nothing has been made yet".into());
    }
    let mut text = String::new();
    for line in lines {
        let cut: String = line.chars().take(size.columns.unwrap_or(usize::MAX)).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{cut}");
    }
    text
}

fn fates(counts: &Counts) -> String {
    let Counts { ended, late, collected, live, bytes_held, .. } = counts;
    let held = bytes(*bytes_held);
    format!("{ended} ended, {late} late, {collected} collected, {live} live, {held} held")
}

fn line(site: &Site, last: Option<&Counts>) -> String {
    let Counts { created, ended, late, collected, live, bytes_held } = site.counts;
    let (new, change) = last.map_or_else(Default::default, |last| {
        (difference(created, last.created), difference(live, last.live))
    });
    let held = bytes(bytes_held);
    format!(
        "{created:>10} {new:>9} {ended:>10} {late:>8} {collected:>9} {live:>8} {change:>8} {held:>9}  {:8}  {}",
        one_line(&site.kind),
        one_line(&site.place())
    )
}

/// `+12, -3 live`: how many more were made since the last look, and how many more or fewer are live.
fn change(now: &Counts, last: Option<&Counts>) -> String {
    let Some(last) = last else { return String::new() };
    let (new, live) = (difference(now.created, last.created), difference(now.live, last.live));
    match (new.is_empty(), live.is_empty()) {
        (true, true) => String::new(),
        (false, true) => new,
        (true, false) => format!("{live} live"),
        (false, false) => format!("{new}, {live} live"),
    }
}

/// With its sign, and nothing where there is none. After a reset counts go down.
fn difference(now: u64, last: u64) -> String {
    match now.cmp(&last) {
        Ordering::Less => format!("-{}", last - now),
        Ordering::Equal => String::new(),
        Ordering::Greater => format!("+{}", now - last),
    }
}

/// Bytes with three digits.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1_000.0 {
            return if unit == "B" || value >= 100.0 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1_024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Size = Size { columns: None, lines: None };

    fn snapshot(created: u64, live: u64) -> Snapshot {
        let text = format!(
            r#"{{"process":{{"command":"Main\u001b[2J"}},"health":{{"ok":false}},
            "totals":{{"inflater":{{"created":{created},"live":{live},"bytes_held":40960}},
            "adopted":{{"found":7,"ended":1,"live":6}}}},
            "sites":[{{"id":"a","kind":"inflater","created":{created},"ended":2,"live":{live},"bytes_held":40960,
            "frames":[{{"class":"java.util.zip.Inflater","method":"<init>"}},{{"class":"A","method":"b","line":7}}]}},
            {{"id":"b","kind":"deflater","created":1}}]}}"#
        );
        Snapshot::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_table() {
        let text = render(42, &snapshot(12, 10), Some(&snapshot(9, 8)), ALL);
        assert!(text.starts_with("zaudit top  process 42  Main\\u{1b}[2J\n"), "{text}");
        assert!(text.contains("12 created (+3, +2 live), 0 ended, "), "{text}");
        assert!(text.contains("10 live, 40.0 KiB held"), "{text}");
        assert!(text.contains("adopted    7 found, 1 ended, 0 late, 0 collected, 6 live"), "{text}");
        assert!(text.contains("HEALTH"), "{text}");
        let line = text.lines().find(|line| line.ends_with("A.b:7")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["12", "+3", "2", "0", "0", "10", "+2", "40.0", "KiB", "inflater", "A.b:7"]);
        assert!(!render(42, &snapshot(12, 10), None, ALL).contains('+'));
    }

    #[test]
    fn no_hostile_character_is_in_the_table() {
        use zaudit_core::escape;
        let mut now = snapshot(12, 10);
        let hostile: String = escape::samples().collect();
        now.process.command.push_str(&hostile);
        for site in &mut now.sites {
            (site.kind, site.id) = (hostile.clone(), hostile.clone());
            site.frames.iter_mut().for_each(|frame| frame.class.insert_str(0, &hostile));
        }
        let text = render(42, &now, None, ALL);
        assert!(!text.contains(|c| c != '\n' && escape::is_hostile(c)), "{text:?}");
        assert_eq!(text.matches("\\u{7f}").count(), 4, "{text}");
    }

    #[test]
    fn no_wider_and_no_longer_than_the_screen() {
        for lines in 0..12 {
            let text = render(42, &snapshot(12, 10), None, Size { columns: Some(40), lines: Some(lines) });
            assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
            assert!(text.lines().count() <= lines.max(8), "{lines}: {text}");
        }
    }

    #[test]
    fn sizes() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 KiB"),
            (1 << 20, "1.0 MiB"),
            (300 << 20, "300 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn after_a_reset_counts_go_down() {
        let counts = |created, live| Counts { created, live, ..Counts::default() };
        assert_eq!(change(&counts(1, 0), Some(&counts(9, 8))), "-8, -8 live");
        assert_eq!(change(&counts(9, 8), Some(&counts(9, 8))), "");
        assert_eq!(change(&counts(10, 8), Some(&counts(9, 8))), "+1");
    }
}
