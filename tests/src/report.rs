//! The JSON report, read back by structs of the tests' own (design §8), and what must hold in every
//! one of them.

mod fields;

pub use fields::*;

use crate::{Result, schema};
use std::collections::HashSet;

impl Report {
    /// Reads a report and checks its fields against the schema, but not what they say.
    pub fn read(text: &str) -> Result<Self> {
        let fields =
            serde_json::from_str(text).map_err(|error| format!("no JSON: {error}\n{text}"))?;
        schema::check(&fields).map_err(|wrong| format!("{wrong}\n{text}"))?;
        Self::without_schema(text)
    }

    fn without_schema(text: &str) -> Result<Self> {
        let mut report: Self =
            serde_json::from_str(text).map_err(|error| format!("no report: {error}\n{text}"))?;
        report.resolve().map_err(|wrong| format!("{wrong}\n{text}"))?;
        Ok(report)
    }

    /// Gives the clean sites their frames, which stand in tables.
    fn resolve(&mut self) -> Result<()> {
        let (frames, stacks) = (&self.frame_table, &self.stack_table);
        for site in &mut self.sites {
            let mut node = site.stack;
            if node.is_some() != (site.severity == Severity::Clean && site.frames.is_empty()) {
                return Err(format!("site {}: either a stack or frames", site.id));
            }
            while let Some(at) = node {
                let found = stacks.frame.get(at).and_then(|frame| frames.get(*frame));
                let frame = found.ok_or_else(|| format!("site {}: no node {at}", site.id))?;
                site.frames.push(frame.clone());
                node = stacks.caller.get(at).copied().flatten();
                if node.is_some_and(|caller| caller >= at) {
                    return Err(format!("site {}: node {at} comes before its caller", site.id));
                }
            }
        }
        Ok(())
    }

    /// Reads a report and checks what must hold in every one.
    pub fn parse(text: &str) -> Result<Self> {
        let report = Self::read(text)?;
        report.check().map_err(|wrong| format!("{}\n{text}", wrong.join("\n")))?;
        Ok(report)
    }

    /// All that is wrong in itself.
    pub fn check(&self) -> std::result::Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        let mut ensure = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };
        ensure(self.schema == "zaudit-report/1", format!("schema is {:?}", self.schema));
        ensure(self.tool.name == "zaudit", format!("tool is {:?}", self.tool.name));
        ensure(!self.tool.version.is_empty(), "the tool has no version".into());
        ensure(!self.process.jvm.is_empty(), "the JVM has no name".into());
        ensure(self.health.ok, format!("health is not ok: {:?}", self.health.details));
        let mut ids = HashSet::new();
        for site in &self.sites {
            let name = format!("site {}", site.id);
            ensure(ids.insert(&site.id), format!("{name}: id is there twice"));
            let hex = site.id.chars().all(|c| c.is_ascii_hexdigit()) && !site.id.is_empty();
            ensure(hex, format!("{name}: id is not hexadecimal"));
            for problem in unbalanced(&site.counts) {
                ensure(false, format!("{name}: {problem}"));
            }
            ensure(site.counts.created > 0, format!("{name}: nothing was made there"));
            ensure(site.lateness_byte_seconds >= 0.0, format!("{name}: lateness is negative"));
            ensure(
                site.oldest_live_seconds.is_none_or(|age| age >= 0.0),
                format!("{name}: age is negative"),
            );
            ensure(
                (site.counts.expected == 0) == site.rule.is_none(),
                format!("{name}: `expected` without a rule"),
            );
            if let Some(problem) = misjudged(site) {
                ensure(false, format!("{name}: {problem}"));
            }
            let innermost = site.frames.first().map(ToString::to_string).unwrap_or_default();
            let right = match site.kind {
                Kind::Inflater => innermost == "java.util.zip.Inflater.<init>",
                Kind::Deflater => innermost == "java.util.zip.Deflater.<init>",
                Kind::ZipEntry => {
                    let lender = innermost.rsplit('.').nth(1).unwrap_or_default();
                    lender.starts_with("ZipFile")
                }
            };
            ensure(right, format!("{name}: innermost frame is {innermost:?}"));
            for frame in &site.frames {
                let foreign =
                    !frame.class.starts_with("zaudit.") && !frame.class.contains(['/', ';']);
                ensure(foreign, format!("{name}: frame {frame}"));
            }
        }
        let known: u64 =
            self.sites.iter().map(|site| site.known.leaked + site.known.suspects).sum();
        ensure(
            known == self.baseline.as_ref().map_or(0, |baseline| baseline.known),
            format!("{known} are known, and the baseline is {:?}", self.baseline),
        );
        for rule in &self.rules {
            let sound =
                rule.over == (rule.excess > 0) && rule.max.is_none_or(|max| rule.matched <= max);
            ensure(
                sound && (rule.max.is_some() || !rule.over),
                format!("a rule is not sound: {rule:?}"),
            );
        }
        let matched: u64 = self.rules.iter().map(|rule| rule.matched).sum();
        let expected: u64 = Kind::ALL.map(|kind| self.totals.of(kind).counts.expected).iter().sum();
        ensure(matched == expected, format!("rules cover {matched}, and {expected} are expected"));
        for kind in Kind::ALL {
            let total = &self.totals.of(kind).counts;
            let mut sum = self.sum(kind, |_| true);
            if let Some(others) = self.other_sites.of(kind) {
                sum += &others.counts;
                ensure(others.sites > 0, format!("no other sites of {kind} are there: {others:?}"));
            }
            ensure(
                sum == *total,
                format!("totals of {kind} are {total:?}, the sites sum up to {sum:?}"),
            );
            let adopted = self.totals.adopted.of(kind).counts;
            ensure(adopted.is_balanced(), format!("adopted {kind}s do not add up: {adopted:?}"));
        }
        let Adoptions { both, inflater, deflater, .. } = &self.totals.adopted;
        ensure(
            inflater.counts.plus(&deflater.counts) == *both,
            format!("adopted of both kinds do not add up: {both:?}"),
        );
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The counts of all sites of `kind` that `belongs` to.
    pub fn sum(&self, kind: Kind, belongs: impl Fn(&Site) -> bool) -> Counts {
        let mut sum = Counts::default();
        for site in self.sites.iter().filter(|site| site.kind == kind && belongs(site)) {
            sum += &site.counts;
        }
        sum
    }
}

impl Site {
    /// Whether the program's class `main`, or one nested in it, takes part in the stack.
    #[must_use]
    pub fn is_of(&self, main: &str) -> bool {
        self.frames.iter().any(|frame| {
            frame
                .class
                .strip_prefix(main)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['$', '/', '.', '+']))
        })
    }

    /// The site in a few lines, for the person who reads why a test failed.
    #[must_use]
    pub fn describe(&self) -> String {
        let frames: Vec<String> = self.frames.iter().take(6).map(ToString::to_string).collect();
        format!("{} {} {:?} {}", self.kind, self.id, self.counts, frames.join(" < "))
    }
}

fn unbalanced(counts: &Counts) -> Vec<String> {
    let Counts { created, ended, late, collected, live, expected, .. } = *counts;
    let mut problems = Vec::new();
    if created != ended + late + collected + live {
        problems.push(format!("created is not ended + late + collected + live: {counts:?}"));
    }
    if expected > late + collected + live {
        problems.push(format!("expected is more than late + collected + live: {counts:?}"));
    }
    problems
}

/// Each instance of a site that was not ended is judged, and none twice. Only young ones may be
/// left out.
fn misjudged(site: &Site) -> Option<String> {
    let Site { counts, leaked, suspects, known, .. } = site;
    let leaks = leaked + known.leaked;
    let judged = leaks + suspects + known.suspects + counts.expected;
    let all = counts.late + counts.collected + counts.live;
    let right =
        leaks <= counts.late + counts.collected && judged <= all && all - judged <= site.young;
    (!right).then(|| format!("{leaked} leaked, {suspects} suspects and {known:?} of {counts:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{ "schema": "zaudit-report/1", "tool": {"name": "zaudit", "version": "0.1.0"},
        "process": {"pid": 7, "jvm": "OpenJDK", "command": "Main", "started": 1.5, "taken": 2.5, "armed_seconds": 1.0,
                    "from_start": true, "trigger": "data_dump", "number": 1},
        "totals": {"inflater": {"created": 3, "ended": 1, "late": 0, "collected": 2, "live": 0, "expected": 0, "ended_with_file": 0, "ended_unknown": 0},
                   "deflater": {"created": 0, "ended": 0, "late": 0, "collected": 0, "live": 0, "expected": 0, "ended_with_file": 0, "ended_unknown": 0},
                   "zip_entry": {"created": 0, "ended": 0, "late": 0, "collected": 0, "live": 0, "expected": 0, "ended_with_file": 0, "ended_unknown": 0},
                   "adopted": {"found": 5, "ended": 2, "late": 1, "collected": 1, "live": 1,
                               "inflater": {"found": 3, "ended": 1, "late": 1, "collected": 0, "live": 1, "oldest_live_seconds": 3.5},
                               "deflater": {"found": 2, "ended": 1, "late": 0, "collected": 1, "live": 0, "oldest_live_seconds": null},
                               "zip_entry": {"found": 0, "ended": 0, "late": 0, "collected": 0, "live": 0, "oldest_live_seconds": null}}},
        "native": {"zlib": "1.3", "measured": true, "inflater": {"fresh": 1, "used": 2}, "deflater": {"fresh": 3, "used": 3}},
        "sites": [{"id": "00ff", "kind": "inflater", "class": null, "severity": "leak", "created": 3, "ended": 1, "late": 0, "collected": 2,
                   "live": 0, "expected": 0, "ended_with_file": 0, "leaked": 2, "suspects": 0, "known": {"leaked": 0, "suspects": 0}, "bytes_held": 0, "lateness_byte_seconds": 1.0, "oldest_live_seconds": null,
                   "youngest_live_seconds": null, "young": 0, "tendency": null, "trend": [{"seconds": 1.0, "live": 3}],
                   "threads": ["main"], "rule": null, "truncated": false,
                   "frames": [{"class": "java.util.zip.Inflater", "method": "<init>", "file": "Inflater.java", "line": 1, "jdk": true},
                              {"class": "Main$1", "method": "run", "file": null, "line": null, "jdk": false}],
                   "retention": []}],
        "other_sites": {"inflater": null, "deflater": null, "zip_entry": null}, "frame_table": [], "stack_table": {"frame": [], "caller": []},
        "ended_again": [], "rules": [], "health": {"ok": true, "dropped": 0} }"#;

    /// Its site as a clean one, whose stack is in the tables.
    fn clean() -> String {
        let replaced = [
            (
                "\"created\": 3, \"ended\": 1, \"late\": 0, \"collected\": 2",
                "\"created\": 3, \"ended\": 3, \"late\": 0, \"collected\": 0",
            ),
            ("\"severity\": \"leak\"", "\"severity\": \"clean\", \"stack\": 1"),
            ("\"leaked\": 2", "\"leaked\": 0"),
            ("\"frame_table\": []", "\"frame_table\": FRAMES"),
            ("\"frame\": [], \"caller\": []", "\"frame\": [1, 0], \"caller\": [null, 0]"),
        ];
        let text =
            replaced.iter().fold(REPORT.to_owned(), |text, (from, to)| text.replace(from, to));
        let (from, to) =
            (text.find("[{\"class\"").unwrap(), text.find("\"retention\": []").unwrap());
        let frames = text[from..to].trim_end().trim_end_matches(',').to_owned();
        text.replace(&frames, "[]").replace("FRAMES", &frames)
    }

    #[test]
    fn the_stack_of_a_clean_site_is_looked_up() {
        let report = parsed(&clean()).expect("sound");
        let frames: Vec<String> = report.sites[0].frames.iter().map(ToString::to_string).collect();
        assert_eq!(frames, ["java.util.zip.Inflater.<init>", "Main$1.run"]);
        for (right, wrong) in [
            ("\"stack\": 1", "\"stack\": 2"),
            ("\"stack\": 1", "\"stack\": null"),
            ("[null, 0]", "[1, 0]"),
            ("[1, 0], \"caller\"", "[1, 2], \"caller\""),
        ] {
            assert!(clean().contains(right), "{right}");
            assert!(parsed(&clean().replacen(right, wrong, 1)).is_err(), "{wrong}");
        }
    }

    /// It has only the fields that the checks need: too few for the schema.
    fn parsed(text: &str) -> Result<Report> {
        let report = Report::without_schema(text)?;
        report.check().map_err(|wrong| wrong.join("\n"))?;
        Ok(report)
    }

    #[test]
    fn a_sound_report_is_taken() {
        let report = parsed(REPORT).expect("sound");
        assert_eq!(report.process.trigger, Trigger::DataDump);
        assert!(report.sites[0].is_of("Main"));
        assert!(!report.sites[0].is_of("Mai"));
    }

    #[test]
    fn every_wrong_one_is_refused() {
        for (right, wrong) in [
            ("zaudit-report/1", "zaudit-report/2"),
            ("\"ok\": true", "\"ok\": false"),
            (
                "\"created\": 3, \"ended\": 1, \"late\": 0, \"collected\": 2,\n",
                "\"created\": 3, \"ended\": 1, \"late\": 0, \"collected\": 1,\n",
            ),
            (
                "{\"inflater\": {\"created\": 3, \"ended\": 1",
                "{\"inflater\": {\"created\": 3, \"ended\": 2",
            ),
            (
                "\"adopted\": {\"found\": 5, \"ended\": 2",
                "\"adopted\": {\"found\": 6, \"ended\": 3",
            ),
            ("\"found\": 2, \"ended\": 1", "\"found\": 2, \"ended\": 2"),
            ("00ff", "00fg"),
            ("\"leaked\": 2", "\"leaked\": 1"),
            ("\"leaked\": 2", "\"leaked\": 3"),
            ("\"known\": {\"leaked\": 0", "\"known\": {\"leaked\": 2"),
            (
                "\"rules\": []",
                "\"rules\": [{\"text\": \"live:x\", \"built_in\": false, \"source\": \"\", \"matched\": 1, \"excess\": 0, \
                 \"over\": false}]",
            ),
            ("\"rule\": null", "\"rule\": \"x\""),
            ("\"truncated\": false,", ""),
            ("java.util.zip.Inflater", "java.util.zip.Deflater"),
            ("Main$1", "zaudit.Hooks"),
            ("data_dump", "whim"),
        ] {
            assert!(REPORT.contains(right), "{right}");
            assert!(parsed(&REPORT.replacen(right, wrong, 1)).is_err(), "{wrong}");
        }
    }
}
