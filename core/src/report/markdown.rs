//! The report in GitHub Flavored Markdown, for a comment on a pull request or a job summary: the
//! findings as a table, and what the text report says of each behind a triangle.
//!
//! Invariant: no name is markup, mentions anybody, or ends a cell, a code span or a code block.

use super::Report;
use super::out::Out;
use super::text::finding::{left_out, numbered, source};
use super::text::{self, summary_clauses};
use super::words::clean;
use crate::analysis::blame::simple;
use crate::analysis::findings::{Finding, findings, leaks_and_suspects};
use crate::model::Frame;
use std::fmt::Write as _;
use std::io;

/// Findings that are shown: GitHub refuses comments of more than 65,536 characters.
const LEAKS: usize = 10;
const SUSPECTS: usize = 5;

pub(super) fn render(report: &Report, to: &mut dyn io::Write) -> io::Result<()> {
    let mut out = Out::new(to);
    let findings = findings(&report.classification.sites)?;
    let (leaks, suspects) = leaks_and_suspects(&findings);
    let clauses = summary_clauses(report, leaks, suspects).join("; ");
    let _ = writeln!(out, "**zaudit**: {}", prose(&clauses));
    let (leaking, rest) = findings.split_at_checked(leaks).unwrap_or_default();
    let suspected = rest.get(..suspects).unwrap_or_default();
    let shown = || numbered(leaking, LEAKS).chain(numbered(suspected, SUSPECTS));
    if leaks + suspects > 0 {
        out.push_str("\n| Finding | Where | Instances | Hint |\n| --- | --- | --- | --- |\n");
        shown().for_each(|(head, finding)| row(report, &head, finding, &mut out));
        if let Some(line) = left_out([(leaking, LEAKS), (suspected, SUSPECTS)]) {
            let _ = writeln!(out, "\n{}", prose(&line));
        }
    }
    for (head, finding) in shown() {
        details(&head, &text::one_finding(report, finding, &head)?, &mut out);
    }
    let below = text::below_findings(report)?;
    if !below.is_empty() {
        details("Rules, totals and health", &below, &mut out);
    }
    out.finish()
}

fn row(report: &Report, head: &str, finding: &Finding<'_>, out: &mut Out<'_>) {
    let Some(worst) = finding.sites.first() else { return };
    // The package would make the column wide; the stack has it.
    let place = |frame: &Frame| format!("{}.{}({})", simple(frame), frame.method, source(frame));
    let blamed = worst.site.frames().nth(finding.blame_frame);
    let place = blamed.map(|blamed| in_cell(&code(&clean(&place(blamed))))).unwrap_or_default();
    let ratio = format!("{}s: {}", finding.stats.kind.noun(), finding.ratio());
    let hint = report.hint(finding).map(|hint| prose(&hint.message)).unwrap_or_default();
    let _ = writeln!(out, "| {head} | {place} | {} | {hint} |", prose(&ratio));
}

/// A text that shows after a click. `title` has no markup.
fn details(title: &str, text: &str, out: &mut Out<'_>) {
    let fence = "`".repeat(longest_run_of_backticks(text).max(2) + 1);
    let text = text.trim_matches('\n');
    let _ = writeln!(
        out,
        "\n<details>\n<summary>{title}</summary>\n\n{fence}text\n{text}\n{fence}\n\n</details>"
    );
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// A code span. A name that has a backtick shows it as an escape.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "\\u{60}"))
}

/// In tables, a vertical bar ends a cell even in a code span.
fn in_cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A sentence, in which nothing is markup. An at sign would mention somebody, escaped or not.
fn prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).replace('@', "\\u{40}").chars() {
        if "\\`*_[]<>|~$&#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, session};
    use crate::model::Kind;
    use crate::options::Format;
    use crate::report::tests::{golden, hostile, rendered, report, sample};

    fn markdown(report: &Report) -> String {
        String::from_utf8(rendered(report, Format::Markdown)).unwrap()
    }

    #[test]
    fn as_the_golden_has_it() {
        golden("report.md", markdown(&sample()).as_bytes());
    }

    #[test]
    fn clean_is_one_line() {
        let clean = session(&[(Kind::Inflater, &[MADE, "a.B.c"], 2, 2, 0, 0)]);
        assert_eq!(markdown(&report(&clean)), "**zaudit**: no leaks: 2 of 2 Inflaters ended\n");
    }

    #[test]
    fn what_does_not_fit_is_a_number() {
        let blamed: Vec<String> = (0..13).map(|at| format!("a.B{at}.c")).collect();
        let stacks: Vec<[&str; 2]> = blamed.iter().map(|blamed| [MADE, blamed]).collect();
        let sites: Vec<_> =
            stacks.iter().map(|stack| (Kind::Inflater, &stack[..], 2, 0, 0, 2)).collect();
        let text = markdown(&report(&session(&sites)));
        assert_eq!(text.matches("| LEAK ").count(), 10, "{text}");
        assert_eq!(text.matches("<summary>LEAK ").count(), 10, "{text}");
        assert!(text.contains("\n… and 3 more findings with 6 instances; format=json"), "{text}");
    }

    #[test]
    fn no_name_ends_a_cell_or_a_block() {
        let text = markdown(&report(&hostile()));
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| LEAK")).collect();
        assert_eq!(rows.len(), 1, "{text}");
        let bars = rows[0].replace("\\|", "").matches('|').count();
        assert_eq!(bars, 5, "{}", rows[0]);
        let mut out = Vec::new();
        let mut to = Out::new(&mut out);
        details("a", "x\n````\n<b>", &mut to);
        to.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\n`````text\nx\n````\n<b>\n`````\n"), "{text}");
        assert_eq!(code("a`|b"), "`a\\u{60}|b`");
        assert_eq!(in_cell(&code("a`|b")), "`a\\u{60}\\|b`");
        assert_eq!(prose("@all *x* <b>"), "\\\\u{40}all \\*x\\* \\<b\\>");
    }
}
