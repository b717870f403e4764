//! File name patterns: what stands for the process, the host, the time and the number of a report.
//!
//! The host's name is the only thing that it needs from the system. Invariant: a parsed pattern
//! always makes a path.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A `file=` value: a path with `%p` (process id), `%t` (UTC time of the report,
/// `20261123-132633`), `%h` (host), `%n` (number of the report), `%%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// What a pattern's sequences stand for in one report.
#[derive(Clone, Copy, Debug)]
pub struct Naming {
    /// For `%p`.
    pub pid: u32,
    /// For `%t`.
    pub time: SystemTime,
    /// For `%n`, or before the extension where the pattern has none; none for the file itself.
    pub number: Option<u32>,
}

impl Pattern {
    /// Checks a pattern. The error says which sequence is unknown.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        if text.is_empty() {
            return Err("the file name is missing".into());
        }
        let pattern = Pattern(text.into());
        for part in pattern.parts() {
            match part {
                Part::Sequence('p' | 't' | 'h' | 'n' | '%') | Part::Text(_) => {}
                Part::Sequence(other) => {
                    return Err(format!(
                        "unknown %{other}; use %p (process id), %t (time), %h (host), %n (number) or %% (a %)"
                    ));
                }
                Part::Lone => return Err("a lone % at the end; write %% for a %".into()),
            }
        }
        Ok(pattern)
    }

    /// The path of one report. Without `%n` numbered ones are `r.json`, `r.1.json`, `r.2.json`.
    pub fn path(&self, naming: &Naming) -> PathBuf {
        let mut name = String::new();
        let mut numbered = false;
        for part in self.parts() {
            match part {
                Part::Text(c) => name.push(c),
                Part::Sequence('p') => name.push_str(&naming.pid.to_string()),
                Part::Sequence('t') => name.push_str(&stamp(naming.time)),
                Part::Sequence('h') => name.push_str(&host()),
                Part::Sequence('n') => {
                    name.push_str(&naming.number.unwrap_or(0).to_string());
                    numbered = true;
                }
                Part::Sequence(_) | Part::Lone => name.push('%'),
            }
        }
        let path = PathBuf::from(name);
        match naming.number {
            Some(number) if !numbered => {
                let extension = match path.extension() {
                    Some(extension) => format!("{number}.{}", extension.to_string_lossy()),
                    None => number.to_string(),
                };
                path.with_extension(extension)
            }
            _ => path,
        }
    }

    /// Whether every report gets a name of its own from the pattern alone.
    pub fn tells_reports_apart(&self) -> bool {
        self.parts().any(|part| matches!(part, Part::Sequence('n' | 't')))
    }

    fn parts(&self) -> impl Iterator<Item = Part> {
        let mut rest = self.0.chars();
        std::iter::from_fn(move || {
            Some(match rest.next()? {
                '%' => rest.next().map_or(Part::Lone, Part::Sequence),
                c => Part::Text(c),
            })
        })
    }
}

/// A piece of a pattern.
enum Part {
    Text(char),
    /// What follows a `%`.
    Sequence(char),
    /// A `%` with nothing behind it.
    Lone,
}

/// The host's name as a part of a file name; a container has one of its own.
fn host() -> String {
    let name = std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
    file_name_part(&String::from_utf8_lossy(&name))
}

fn file_name_part(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
    match name.trim() {
        "" | "." | ".." => "unknown".into(),
        name => name.chars().map(plain).collect(),
    }
}

/// `20261123-132633`, UTC.
fn stamp(time: SystemTime) -> String {
    let [year, month, day, hour, minute, second] = utc(time);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// Year, month, day, hour, minute and second, UTC (days to date as in Howard Hinnant's
/// `civil_from_days`).
pub fn utc(time: SystemTime) -> [u64; 6] {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    [year, month, day, second / 3_600, second / 60 % 60, second % 60]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn patterns() {
        let path = |text: &str, number| {
            Pattern::parse(text).unwrap().path(&Naming { pid: 42, time: at(1_795_440_393), number })
        };
        for (pattern, number, expected) in [
            ("r.json", None, "r.json"),
            ("r.json", Some(2), "r.2.json"),
            ("/a.b/r", Some(1), "/a.b/r.1"),
            ("r-%p-%t.txt", None, "r-42-20261123-132633.txt"),
            ("r-%t.txt", Some(3), "r-20261123-132633.3.txt"),
            ("r-%n.json", Some(7), "r-7.json"),
            ("%n/r-%n.json", Some(7), "7/r-7.json"),
            ("r-%n.json", None, "r-0.json"),
            ("r%%n.json", Some(7), "r%n.7.json"),
            ("100%%", None, "100%"),
            ("%%p", None, "%p"),
        ] {
            assert_eq!(path(pattern, number), PathBuf::from(expected), "{pattern}");
        }
        for bad in ["", "r%", "r%x", "%", "%P"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_is_one_part_of_a_path() {
        for (name, part) in [
            ("build-7.acme.org\n", "build-7.acme.org"),
            ("../etc", ".._etc"),
            ("..", "unknown"),
            ("", "unknown"),
            ("a b\u{1b}ü", "a_b__"),
        ] {
            assert_eq!(file_name_part(name), part);
        }
        let path =
            Pattern::parse("r-%h").unwrap().path(&Naming { pid: 1, time: at(0), number: None });
        assert_eq!(path.components().count(), 1);
        assert!(path.to_str().unwrap().len() > "r-".len());
    }

    #[test]
    fn which_patterns_tell_reports_apart() {
        for (pattern, apart) in
            [("r", false), ("r-%p-%h", false), ("r%%n", false), ("r-%n", true), ("%t/r", true)]
        {
            assert_eq!(Pattern::parse(pattern).unwrap().tells_reports_apart(), apart, "{pattern}");
        }
    }

    #[test]
    fn stamps() {
        for (seconds, expected) in [
            (0, "19700101-000000"),
            (951_782_399, "20000228-235959"),
            (951_782_400, "20000229-000000"),
            (1_709_251_200, "20240301-000000"),
            (4_102_444_799, "20991231-235959"),
        ] {
            assert_eq!(stamp(at(seconds)), expected);
        }
    }
}
