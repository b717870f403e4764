//! `zaudit suppress`: rules for the findings of a report.
//!
//! Owns the choice of rules and their comments; [`zaudit_core::analysis::rules`] defines what a
//! rule means. Invariant: the same run is clean under these rules, placed after those that it had;
//! a finding for which no rule can be written is named in the file and on standard error.

use crate::arguments::Suppress;
use crate::cmd::input;
use crate::error::{CliError, Code, one_line};
use crate::output;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use zaudit_core::analysis::classify::SiteStats;
use zaudit_core::analysis::findings::{Finding, findings};
use zaudit_core::analysis::rules::{MAX_RULES, Rule, RuleIndex};
use zaudit_core::escape;
use zaudit_core::model::{Kind, OutOfMemory};
use zaudit_core::report::{Report, frame};
use zaudit_core::wording::grouped;

/// The most characters of a comment: names may be long.
const MAX_COMMENT: usize = 300;

/// Writes the rules.
pub(crate) fn run(suppress: &Suppress) -> Result<(), CliError> {
    let file = match &suppress.report {
        Some(report) => rules_for(&input::read(report)?)
            .map_err(|why| CliError::new(Code::Failed, why.to_string(), ""))?,
        None => File { text: Rule::built_in_file(), left_out: Vec::new() },
    };
    match &suppress.output {
        Some(path) => output::OutputFile::open(path)?.fill(file.text.as_bytes())?,
        None => output::write(file.text.as_bytes()).map(|_| ())?,
    }
    for line in &file.left_out {
        // The file contains it, too.
        let _ = writeln!(io::stderr(), "zaudit: {}", one_line(line));
    }
    Ok(())
}

/// A file of rules.
pub(crate) struct File {
    /// The rules, with comments.
    pub(crate) text: String,
    /// What it does not cover, one line each.
    pub(crate) left_out: Vec<String>,
}

/// A rule to write: for the leaks of a finding, or for its suspects.
struct Proposal {
    comment: String,
    rule: Option<Rule>,
    /// Rules with fewer frames match more stacks, and so do those that let any frames between them,
    /// and those of the JDK most of all: they come last.
    order: (bool, Reverse<usize>, bool),
}

/// The rules for what a report has found.
pub(crate) fn rules_for(report: &Report) -> Result<File, OutOfMemory> {
    let findings = findings(&report.classification.sites)?;
    let mut proposals: Vec<Proposal> = findings.iter().flat_map(proposals).collect();
    proposals.sort_by_key(|proposal| proposal.order);
    let mut file = File { text: head(report), left_out: Vec::new() };
    for (rule, all) in report.classification.over(&report.rules) {
        let (all, max) = (grouped(all), grouped(rule.max.unwrap_or_default()));
        let source =
            if rule.source.is_empty() { String::new() } else { format!(" ({})", rule.source) };
        file.leave_out(&format!(
            "the rule {}{source} is over its maximum, {all} of at most {max}: if that is right, raise it there",
            rule.text
        ));
    }
    // Two lines of one method have the same rule.
    let (mut rules, mut comments, mut known) =
        (Vec::new(), Vec::<Vec<String>>::new(), HashMap::new());
    for proposal in proposals {
        let Some(rule) = proposal.rule else {
            file.leave_out(&format!(
                "{}: these names cannot be written in a rule",
                proposal.comment
            ));
            continue;
        };
        let at = *known.entry(rule.text.clone()).or_insert(rules.len());
        match comments.get_mut(at) {
            Some(comments) => comments.push(proposal.comment),
            None => {
                rules.push(rule);
                comments.push(vec![proposal.comment]);
            }
        }
    }
    let counts = counts(report, &rules);
    let all = rules.into_iter().zip(comments).zip(counts).filter(|(_, count)| *count > 0);
    for (written, ((rule, comments), count)) in all.enumerate() {
        if written == MAX_RULES {
            file.leave_out(&format!("the rest: a file has at most {MAX_RULES} rules"));
            break;
        }
        file.text.push('\n');
        comments.iter().for_each(|comment| file.comment(comment));
        let _ = writeln!(file.text, "{}", rule.at_most(count).text);
    }
    Ok(file)
}

/// The number that each rule has to cover if it comes after the rules of the report.
fn counts(report: &Report, rules: &[Rule]) -> Vec<u64> {
    // A text that is not a rule covers nothing.
    let read =
        |rule: &Rule| Rule::parse(&rule.text, rule.built_in).unwrap_or_else(|_| rule.clone());
    let own: Vec<Rule> = report.rules.iter().map(read).collect();
    let (own, proposed) = (RuleIndex::new(&own), RuleIndex::new(rules));
    let over = |at: usize| report.classification.excess.get(at).is_some_and(|excess| *excess > 0);
    let mut counts = vec![0; rules.len()];
    for classified in &report.classification.sites {
        let SiteStats { kind, leaked, suspects, known, .. } = classified.stats;
        for (count, speaks) in [
            (leaked + known.leaked, Rule::speaks_of_leaks as fn(&Rule, Kind) -> bool),
            (suspects + known.suspects, Rule::speaks_of_live),
        ] {
            if count == 0
                || own.first(classified.site.frames(), |rule| speaks(rule, kind)).is_some_and(over)
            {
                continue;
            }
            let first = proposed.first(classified.site.frames(), |rule| speaks(rule, kind));
            first.and_then(|at| counts.get_mut(at)).into_iter().for_each(|sum| *sum += count);
        }
    }
    counts
}

/// A rule for the leaks of a finding, and one for its suspects.
fn proposals(finding: &Finding<'_>) -> Vec<Proposal> {
    let frames = finding.frames();
    let Some((blame_frame, _)) = frames.last() else { return Vec::new() };
    let SiteStats { kind, leaked, suspects, known, tally, .. } = finding.stats;
    let proposal = |leak: bool, count: u64| {
        let what = if leak { "never ended" } else { "live" };
        let of = format!("{} of {}", grouped(count), grouped(tally.counts.created));
        Proposal {
            comment: format!("{of} {}s {what}: {}", kind.noun(), frame(blame_frame)),
            rule: Rule::literal(leak, kind, &frames),
            order: (blame_frame.jdk, Reverse(frames.len()), !frames.iter().any(|(_, near)| *near)),
        }
    };
    let found = [(true, leaked + known.leaked), (false, suspects + known.suspects)].into_iter();
    found.filter(|(_, count)| *count > 0).map(|(leak, count)| proposal(leak, count)).collect()
}

impl File {
    fn comment(&mut self, text: &str) {
        let text = escape::text(text);
        let cut = text.char_indices().nth(MAX_COMMENT).and_then(|(end, _)| text.get(..end));
        let _ = writeln!(
            self.text,
            "# {}{}",
            cut.unwrap_or(&text),
            if cut.is_some() { "…" } else { "" }
        );
    }

    fn leave_out(&mut self, why: &str) {
        self.text.push('\n');
        self.comment(&format!("Left out: {why}"));
        self.left_out
            .push(format!("left out: {}", why.chars().take(MAX_COMMENT).collect::<String>()));
    }
}

fn head(report: &Report) -> String {
    let mut file = File { text: String::new(), left_out: Vec::new() };
    let process = &report.process;
    file.comment(&format!("What zaudit found in pid {}, {}.", process.pid, process.command));
    file.comment("Each rule covers the number found; one more is reported again.");
    if report.rules.iter().any(|rule| !rule.built_in) {
        file.comment("That run had files of rules; give this one after them.");
    }
    file.text
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;
    use zaudit_core::analysis::footprint::Footprint;
    use zaudit_core::model::{Frame, Nanos, Stack, ThreadId};
    use zaudit_core::options::FailOn;
    use zaudit_core::report::Process;
    use zaudit_core::testing::Recording;

    const MADE: [(&str, &str); 2] =
        [("java.util.zip.Inflater", "<init>"), ("java.util.zip.Deflater", "<init>")];

    /// Kind, frames after the constructor, leaked, live.
    type Made<'a> = (Kind, &'a [(&'a str, &'a str)], u64, u64);

    fn session(sites: &[Made<'_>]) -> Recording {
        let session = Recording::default();
        for (number, (kind, frames, leaked, live)) in sites.iter().enumerate() {
            let made = MADE[usize::from(*kind == Kind::Deflater)];
            let frame = |(line, (class, method)): (usize, &(&str, &str))| Frame {
                file: Some("X.java".into()),
                line: Some(line as u32 + number as u32).filter(|_| !class.contains("$$")),
                ..Frame::named(class, method)
            };
            let frames = [made].iter().chain(*frames).enumerate().map(frame).collect();
            let stack = Stack { frames, truncated: false, subclass: None };
            let site = session.learn(*kind, stack).unwrap();
            for n in 0..leaked + live {
                let id = session.id();
                session.record_created(id, site, ThreadId(1), Nanos(0)).unwrap();
                if n < *leaked {
                    session.record_freed(id, Nanos(1));
                }
            }
        }
        session
    }

    fn report(session: &Recording, own: &str, baseline: Option<&Report>) -> Report {
        let process = Process { pid: 7, command: "Main\nleak:*".into(), ..Process::default() };
        let snapshot = session.snapshot(Nanos(2), Duration::ZERO).unwrap();
        let mut rules = Rule::built_in();
        let (read, complaints) = Rule::read_file("own.rules", own);
        assert_eq!(complaints, [""; 0], "{own}");
        rules.extend(read);
        let report =
            Report::new(process, Footprint::default(), &snapshot, rules, Arc::default()).unwrap();
        match baseline {
            Some(old) => report.against(&old.as_baseline("old.json")),
            None => report,
        }
    }

    fn error(report: &Report) -> Option<String> {
        report.classification.failure(&report.rules, &FailOn { live: Some(1), bytes: None })
    }

    /// The rules for what is reported under `own`. After those they must make the run clean, but
    /// not a run that has one more.
    fn rules(sites: &[Made<'_>], own: &str) -> String {
        let session = session(sites);
        let file = rules_for(&report(&session, own, None)).unwrap();
        assert_eq!(file.left_out, [""; 0]);
        let both = format!("{own}\n{}", file.text);
        let clean = report(&session, &both, None);
        assert_eq!(error(&clean), None, "{}", file.text);
        // One more fails.
        let leaked = |report: &Report| {
            report.classification.sites.iter().map(|site| site.stats.leaked).sum::<u64>()
        };
        for at in 0..sites.len() {
            let mut more = sites.to_vec();
            more[at].2 += 1;
            let more = self::session(&more);
            if sites[at].2 > 0
                && leaked(&report(&more, own, None)) > leaked(&report(&session, own, None))
            {
                assert!(error(&report(&more, &both, None)).is_some(), "{at} {}", file.text);
            }
        }
        // The same from a report that had a baseline, and together with one.
        let old = report(&session, own, None);
        let beside = rules_for(&report(&session, own, Some(&old))).unwrap();
        let both = format!("{own}\n{}", beside.text);
        assert_eq!(error(&report(&session, &both, None)), None, "{}", beside.text);
        assert_eq!(error(&report(&session, &both, Some(&old))), None, "{}", beside.text);
        file.text
    }

    #[test]
    fn one_rule_per_finding() {
        const CODEC: &[(&str, &str)] = &[("a.Codec", "<init>"), ("a.Main", "main")];
        let text = rules(
            &[
                (Kind::Inflater, CODEC, 3, 1_200),
                (Kind::Deflater, CODEC, 0, 2),
                (Kind::Deflater, &[("a.Fine", "x")], 0, 0),
                (
                    Kind::Inflater,
                    &[("java.util.zip.ZipFile", "getInflater"), ("a.Main", "main")],
                    0,
                    9,
                ),
            ],
            "live:a.Codec.* < absent.*",
        );
        assert_eq!(
            text,
            "# What zaudit found in pid 7, Main\\u{a}leak:*.\n\
             # Each rule covers the number found; one more is reported again.\n\
             # That run had files of rules; give this one after them.\n\
             \n# 3 of 1,203 Inflaters never ended: a.Codec.<init>(X.java:1)\n\
             leak:java.util.zip.Inflater.<init> << a.Codec.<init> max=3\n\
             \n# 1,200 of 1,203 Inflaters live: a.Codec.<init>(X.java:1)\n\
             live:java.util.zip.Inflater.<init> << a.Codec.<init> max=1200\n\
             \n# 2 of 2 Deflaters live: a.Codec.<init>(X.java:2)\n\
             live:java.util.zip.Deflater.<init> << a.Codec.<init> max=2\n"
        );
    }

    #[test]
    fn a_rule_lets_transparent_frames_between() {
        const CALL: (&str, &str) = ("java.lang.reflect.Constructor", "newInstance");
        let text = rules(
            &[
                (Kind::Inflater, &[("a.Lambda$$Lambda", "get"), ("a.Main", "main")], 3, 0),
                (Kind::Inflater, &[CALL, ("a.Other", "make"), ("a.Main", "main")], 2, 0),
            ],
            "",
        );
        for rule in [
            "leak:java.util.zip.Inflater.<init> < a.Main.main max=3",
            "leak:java.util.zip.Inflater.<init> << a.Other.make max=2",
        ] {
            assert!(text.lines().any(|line| line == rule), "{text}");
        }
    }

    #[test]
    fn a_rule_over_its_maximum_is_left_to_the_user() {
        let session = session(&[
            (Kind::Inflater, &[("a.Pool", "get")], 0, 21),
            (Kind::Inflater, &[("b.C", "d")], 2, 0),
        ]);
        let file = rules_for(&report(&session, "live:a.Pool.* max=16", None)).unwrap();
        let why = "left out: the rule live:a.Pool.* max=16 (own.rules:1) is over its maximum, 21 of at most 16: if that is \
                   right, raise it there";
        assert_eq!(file.left_out, [why]);
        assert!(
            file.text.contains("\n# Left out: the rule live:a.Pool.* max=16")
                && !file.text.contains("\nlive:")
        );
        assert!(
            file.text.ends_with("\nleak:java.util.zip.Inflater.<init> << b.C.d max=2\n"),
            "{}",
            file.text
        );
        let raised = format!("live:a.Pool.* max=21\n{}", file.text);
        assert_eq!(error(&report(&session, &raised, None)), None);
    }

    #[test]
    fn names_that_a_rule_cannot_have_are_left_out() {
        let long = "x".repeat(10_000);
        for class in
            ["a.B*", "a.B < c", "a.B\nleak:*", "a #b", "<script>", long.as_str(), "b max=9 "]
        {
            let method = if class.contains("max") { "" } else { "c" };
            let session = session(&[
                (Kind::Inflater, &[(class, method)], 1, 0),
                (Kind::Inflater, &[("d.E", "f")], 2, 0),
            ]);
            let file = rules_for(&report(&session, "", None)).unwrap();
            let (rules, complaints) = Rule::read_file("x", &file.text);
            assert_eq!((rules.len(), complaints.len()), (1, 0), "{}", file.text);
            assert!(rules[0].text.ends_with(" << d.E.f max=2"));
            assert!(
                file.text.contains("\n# Left out: 1 of 1 Inflaters never ended: "),
                "{}",
                file.text
            );
            assert_eq!(file.left_out.len(), 1);
            assert!(
                file.text.len() < 2_000 && file.text.chars().all(|c| c == '\n' || !c.is_control())
            );
        }
    }

    #[test]
    fn rules_for_hostile_names_are_escaped_and_fit() {
        let names: BTreeSet<String> = escape::samples().map(|c| format!("{c}a{c}")).collect();
        let frames: Vec<_> = names.iter().map(|name| [(name.as_str(), name.as_str())]).collect();
        let sites: Vec<Made<'_>> =
            frames.iter().map(|frames| (Kind::Inflater, &frames[..], 2, 1)).collect();
        let text = rules(&sites, "");
        assert!(!text.contains(|c| c != '\n' && escape::is_hostile(c)), "{text:?}");
        assert_eq!(text.matches("\nleak:").count(), sites.len());
    }

    #[test]
    fn the_built_in_rules_are_a_file_of_rules() {
        let (rules, complaints) = Rule::read_file("x", &Rule::built_in_file());
        assert_eq!(complaints, [""; 0]);
        let texts = |rules: &[Rule]| rules.iter().map(|rule| rule.text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&rules), texts(&Rule::built_in()));
    }

    /// Frames in all orders: recursion, frames of the JDK between and below, stacks without a frame
    /// of the program, callers that lose all beside callers that lose none.
    #[test]
    fn rules_cover_exactly_what_was_found() {
        const FRAMES: [(&str, &str); 9] = [
            ("a.Main", "main"),
            ("a.Codec", "<init>"),
            ("a.Codec", "read"),
            ("b.Pool", "get of it"),
            ("java.util.zip.ZipFile", "getInflater"),
            ("java.util.zip.GZIPInputStream", "<init>"),
            ("java.util.jar.JarFile", "getEntry"),
            ("java.lang.ClassLoader", "loadClass"),
            ("sun.misc.X", "y"),
        ];
        let own = ["", "leak:a.Codec.*", "live:b.* < a.Main.*\nleak,inflater:*.read", "live:*"];
        let mut rng = Rng::with_seed(1);
        for turn in 0..400 {
            let stacks: Vec<Vec<_>> = (0..8)
                .map(|_| (0..rng.usize(..5)).map(|_| FRAMES[rng.usize(..FRAMES.len())]).collect())
                .collect();
            let mut site = |frames| -> Made<'_> {
                let (leaked, live) = (rng.u64(..3), rng.u64(..3));
                (Kind::ALL[rng.usize(..2)], frames, leaked, live)
            };
            let sites: Vec<Made<'_>> =
                stacks.iter().map(|frames| site(frames.as_slice())).collect();
            rules(&sites, own[turn % own.len()]);
        }
    }
}
