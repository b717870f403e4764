//! An old report as a baseline: of a JSON report only the sites' ids and what was found there.
//!
//! Opens no file. Invariant: whatever the bytes are, they become a baseline or one sentence; what they hold besides is skipped,
//! not kept.

use super::SCHEMA;
use crate::classify::{Baseline, Known};
use crate::suppress::shown;
use serde::Deserialize;

#[derive(Deserialize)]
struct Old {
    schema: String,
    process: OldProcess,
    sites: Vec<OldSite>,
}

#[derive(Deserialize)]
struct OldProcess {
    taken: f64,
}

#[derive(Deserialize)]
struct OldSite {
    id: String,
    leaked: u64,
    suspects: u64,
    #[serde(default)]
    known: OldKnown,
}

/// What its own baseline had is as old as what was new in it.
#[derive(Default, Deserialize)]
struct OldKnown {
    leaked: u64,
    suspects: u64,
}

/// Reads the baseline that a file has.
pub fn baseline(file: &str, bytes: &[u8]) -> Result<Baseline, String> {
    let old: Old = serde_json::from_slice(bytes)
        .map_err(|error| format!("no JSON report: {}", shown(&error.to_string())))?;
    if old.schema != SCHEMA {
        return Err(format!("a report of the form {SCHEMA} is needed"));
    }
    let mut baseline = Baseline { file: file.into(), taken: old.process.taken, ..Baseline::default() };
    for site in old.sites {
        let id =
            u64::from_str_radix(&site.id, 16).map_err(|_| "no JSON report: the id of a site is no number")?;
        let known = Known {
            leaked: site.leaked.saturating_add(site.known.leaked),
            suspects: site.suspects.saturating_add(site.known.suspects),
        };
        if known != Known::default() {
            baseline.sites.insert(id, known);
        }
    }
    Ok(baseline)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"schema":"zaudit-report/1","process":{"pid":7,"taken":1.5},"sites":[
        {"id":"00000000000000ff","leaked":3,"suspects":0,"frames":[{"class":"a\u0000"}]},
        {"id":"0000000000000001","leaked":1,"suspects":2,"known":{"leaked":4,"suspects":5}},
        {"id":"0000000000000002","leaked":0,"suspects":0}],"more":[[[{}]]]}"#;

    #[test]
    fn ids_and_counts() {
        let read = baseline("old.json", OLD.as_bytes()).unwrap();
        assert_eq!((read.file.as_str(), read.taken, read.sites.len()), ("old.json", 1.5, 2));
        assert_eq!(read.sites[&255], Known { leaked: 3, suspects: 0 });
        assert_eq!(
            read.sites[&1],
            Known { leaked: 5, suspects: 7 },
            "a baseline of a baseline forgets nothing"
        );
    }

    #[test]
    fn what_is_no_report_is_one_sentence() {
        let deep = "[".repeat(1 << 20);
        let wrong = |right: &str, wrong: &str| {
            assert!(OLD.contains(right), "{right}");
            OLD.replacen(right, wrong, 1)
        };
        for (text, says) in [
            (String::new(), "no JSON report: EOF"),
            (deep, "no JSON report"),
            ("SUMMARY: zaudit: no leaks".into(), "no JSON report"),
            ("\u{1b}[2J\n".into(), "no JSON report"),
            (wrong("report/1", "report/2"), "of the form zaudit-report/1"),
            (wrong("\"leaked\":3,", ""), "missing field `leaked`"),
            (wrong("\"leaked\":3", "\"leaked\":-3"), "no JSON report"),
            (wrong("\"leaked\":3", "\"leaked\":99999999999999999999"), "no JSON report"),
            (wrong("00000000000000ff", "\\u001b[2J\\n"), "the id of a site"),
            (wrong("00000000000000ff", "00000000000000000ff00000000000000ff"), "the id of a site"),
            (OLD[..OLD.len() - 1].into(), "no JSON report: EOF"),
        ] {
            let said = baseline("x", text.as_bytes()).unwrap_err();
            assert!(said.contains(says) && !said.contains(char::is_control) && said.len() < 300, "{said}");
        }
        assert!(baseline("x", b"\xff\xfe\x00").is_err());
        for end in 0..OLD.len() {
            assert!(baseline("x", &OLD.as_bytes()[..end]).is_err(), "{end}");
        }
    }
}
