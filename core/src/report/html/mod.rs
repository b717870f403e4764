//! The HTML report: what is wrong and what to do first, every finding, a flame graph, the totals.
//!
//! One file that loads nothing. It has the sentences of the text report. What Rust writes can be
//! read without JavaScript; `page.js` sorts, searches and draws the flame graph. Invariant: text of
//! the program gets into the page only through [`escape`].

mod chart;
mod data;
mod escape;
mod table;
mod totals;

use super::out::Out;
use super::text::finding::way;
use super::text::{approximate, memory, origin, summary_clauses};
use super::{Report, lost};
use crate::analysis::classify::{Severity, SiteStats};
use crate::analysis::findings::{Finding, findings, leaks_and_suspects};
use crate::model::Kind;
use crate::wording::{byte_seconds, count, grouped};
use escape::Plain;
use serde::Serialize;
use std::fmt::{Display, Write as _};
use std::io;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Forbids the page to load or to send anything.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; \
                      script-src 'unsafe-inline'";

pub(super) fn render(report: &Report, to: &mut dyn io::Write) -> io::Result<()> {
    let findings = findings(&report.classification.sites)?;
    let mut page = Page { out: Out::new(to), report, findings: &findings };
    page.head();
    page.summary();
    page.findings();
    page.flame_graph();
    page.sums();
    page.out.push_str("</main>\n<script type=\"application/json\" id=\"data\">");
    data::data(&findings, report.native.measured, &mut page.out)?;
    let _ = write!(page.out, "</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    page.out.finish()
}

struct Page<'a, 'w> {
    out: Out<'w>,
    report: &'a Report,
    /// Worst first.
    findings: &'a [Finding<'a>],
}

/// What findings are filtered by: the severity, and `expected` for those that a rule makes clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Group {
    Leak,
    Suspect,
    Expected,
    Clean,
}

impl Group {
    const ALL: [Group; 4] = [Group::Leak, Group::Suspect, Group::Expected, Group::Clean];

    fn of(finding: &Finding<'_>) -> Group {
        match finding.stats.severity() {
            Severity::Leak => Group::Leak,
            Severity::Suspect => Group::Suspect,
            Severity::Clean if finding.stats.expected > 0 => Group::Expected,
            Severity::Clean => Group::Clean,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Group::Leak => "leak",
            Group::Suspect => "suspect",
            Group::Expected => "expected",
            Group::Clean => "clean",
        }
    }
}

impl Page<'_, '_> {
    fn head(&mut self) {
        let _ = write!(
            self.out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>zaudit: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
            Plain(&self.report.process.command)
        );
    }

    fn summary(&mut self) {
        let (leaks, suspects) = leaks_and_suspects(self.findings);
        let clauses = summary_clauses(self.report, leaks, suspects);
        let worst = self
            .findings
            .iter()
            .map(|finding| finding.stats.severity())
            .max()
            .unwrap_or(Severity::Clean);
        let lost: u64 = Kind::ALL.iter().map(|kind| lost(self.report.adopted.get(*kind))).sum();
        let mood = match worst {
            Severity::Leak => "leak",
            _ if lost > 0 && self.report.adopts_the_program_s() => "leak",
            Severity::Suspect => "suspect",
            Severity::Clean => "clean",
        };
        let mut clauses = clauses.iter();
        let first = clauses.next().map_or("", String::as_str);
        let _ = write!(
            self.out,
            "<header class=\"{mood}\">\n<p class=\"origin\">{}</p>\n<h1>{}</h1>\n",
            Plain(&origin(self.report)),
            Plain(first)
        );
        let memory = memory(self.report);
        let rest: Vec<&str> = clauses.chain(&memory).map(String::as_str).collect();
        if !rest.is_empty() {
            let _ = writeln!(self.out, "<p class=\"also\">{}.</p>", Plain(&rest.join("; ")));
        }
        self.figures();
        self.what_to_do();
        self.out.push_str("</header>\n");
    }

    /// The few numbers that matter.
    fn figures(&mut self) {
        let sum = |of: fn(&SiteStats) -> u64| -> u64 {
            self.report.classification.all_stats().map(of).sum()
        };
        let lateness: f64 = self.report.classification.all_stats().map(SiteStats::lateness).sum();
        let held = match sum(SiteStats::bytes_held) {
            0 => "nothing".to_owned(),
            held => approximate(self.report, held),
        };
        let (created, ended) = (sum(|v| v.tally.counts.created), sum(|v| v.tally.counts.ended));
        let figures = [
            ("certain leaks", grouped(sum(|v| v.leaked))),
            ("live", grouped(sum(|v| v.tally.live))),
            ("native memory held", held),
            ("lateness: bytes × time until freed", byte_seconds(lateness)),
            ("ended", format!("{} of {}", grouped(ended), grouped(created))),
        ];
        self.out.push_str("<dl class=\"figures\">\n");
        for (name, figure) in figures {
            let _ = writeln!(self.out, "<div><dt>{name}</dt><dd>{figure}</dd></div>");
        }
        self.out.push_str("</dl>\n");
    }

    fn what_to_do(&mut self) {
        let Some((finding, worst)) =
            self.findings.first().and_then(|finding| Some((finding, finding.sites.first()?)))
        else {
            return;
        };
        let Some(blame_frame) = worst.site.frames().nth(finding.blame_frame) else { return };
        let (severity, class) = (finding.stats.severity(), finding.stats.kind.noun());
        let mut to_do = String::from("<section class=\"first\" aria-labelledby=\"first\">\n");
        let _ = match severity {
            Severity::Clean => return,
            Severity::Leak => write!(to_do, "<h2 id=\"first\">Fix this first</h2>\n<p>"),
            Severity::Suspect => write!(to_do, "<h2 id=\"first\">Check this first</h2>\n<p>"),
        };
        let _ = write!(
            to_do,
            "<a href=\"#p1\">{}</a></p>\n<p>{class}s: {}",
            table::frame(blame_frame),
            Plain(&finding.ratio())
        );
        if let Some(way) = way(self.report, finding) {
            let _ = write!(to_do, "; {}", Plain(&way));
        }
        to_do.push_str(".</p>\n");
        if let Some(hint) = self.report.hint(finding) {
            let _ = writeln!(to_do, "<p><b>Hint:</b> {}.</p>", Plain(&hint.message));
        }
        to_do.push_str("</section>\n");
        self.out.push_str(&to_do);
    }

    fn findings(&mut self) {
        let of = |group| self.findings.iter().filter(|finding| Group::of(finding) == group).count();
        let (stacks, total) = (self.report.classification.sites.len(), self.findings.len());
        let stacks = count(stacks, "allocation site");
        let _ = write!(
            self.out,
            "<section id=\"places\" aria-labelledby=\"places-title\">\n<h2 id=\"places-title\">Findings</h2>\n\
             <p class=\"about\">{}, {stacks}; worst first. A finding is all allocation sites with the same blame frame: \
             the first frame of the application on the way out of the constructor.</p>\n",
            count(total, "finding"),
        );
        let left_out = self.report.classification.sites_left_out();
        if left_out > 0 {
            let sites = count(usize::try_from(left_out).unwrap_or(usize::MAX), "more clean site");
            let are = if left_out == 1 { "is" } else { "are" };
            let _ = writeln!(
                self.out,
                "<p class=\"about\">{sites} {are} not listed here and in the flame graph; the totals include them.</p>"
            );
        }
        self.out.push_str(
            "<div class=\"tools js\" role=\"search\"><label>Search <input type=\"search\" id=\"find\" placeholder=\"class, method \
             or file in a stack\"></label><fieldset id=\"groups\"><legend>Show</legend>",
        );
        for group in Group::ALL.into_iter().filter(|group| of(*group) > 0) {
            let (name, number) = (group.name(), grouped(of(group) as u64));
            let _ = write!(
                self.out,
                "<label class=\"chip\"><input type=\"checkbox\" value=\"{name}\" checked>{} <b>{number}</b></label>",
                badge(group)
            );
        }
        self.out.push_str("</fieldset><output id=\"shown\" aria-live=\"polite\"></output></div>\n");
        self.table();
        self.out
            .push_str("<p class=\"js\"><button type=\"button\" id=\"more\" hidden></button></p>\n");
        self.out.push_str(
            "<noscript><p>Without JavaScript, this page has no flame graph, no search and no sorting. ",
        );
        let _ = if total > table::ROWS {
            write!(
                self.out,
                "The table lists the worst {} of {}; format=json lists all.",
                table::ROWS,
                count(total, "finding")
            )
        } else {
            write!(self.out, "The table is complete.")
        };
        self.out.push_str("</p></noscript>\n</section>\n");
    }

    /// All but the graph itself, which the script draws.
    fn flame_graph(&mut self) {
        if self.findings.is_empty() {
            return;
        }
        self.out.push_str(
            "<section id=\"flame\" class=\"js\" aria-labelledby=\"flame-title\">\n<h2 id=\"flame-title\">Flame graph</h2>\n\
             <p class=\"about\">The start of the thread is at the top, the constructor at the bottom. The width of a frame is its share.</p>\n\
             <div class=\"tools\"><fieldset id=\"weights\"><legend>Width</legend>",
        );
        for (weight, name) in [
            ("leaked", "leaked"),
            ("held", "bytes held"),
            ("lateness", "lateness, MiB·s"),
            ("created", "created"),
        ] {
            let _ = write!(
                self.out,
                "<label class=\"chip\"><input type=\"radio\" name=\"weight\" value=\"{weight}\">{name}</label>"
            );
        }
        self.out.push_str(
            "</fieldset><label class=\"chip\"><input type=\"checkbox\" id=\"certain\">Only certain leaks</label>\
             <label>Search <input type=\"search\" id=\"find-frame\" placeholder=\"class, method or file\"></label>\
             <output id=\"share\" aria-live=\"polite\"></output></div>\n\
             <nav id=\"crumbs\" aria-label=\"Zoom\"></nav>\n<output id=\"described\" aria-live=\"polite\"></output>\n\
             <div id=\"graph\" role=\"tree\" aria-label=\"Allocation stacks. Arrow keys move, Enter zooms, Escape shows all.\"></div>\n\
             <p class=\"legend\"><span class=\"swatch own\"></span>application <span class=\"swatch jdk\"></span>JDK \
             <span class=\"swatch blamed\">▸</span>blame frame <span class=\"keys\">Click or <kbd>Enter</kbd>: \
             zoom · <kbd>Esc</kbd>: all · arrows: move</span></p>\n</section>\n",
        );
    }
}

/// The group as a coloured word.
fn badge(group: Group) -> impl Display {
    let name = group.name();
    format!("<span class=\"badge {name}\">{name}</span>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, session};
    use crate::options::Format;
    use crate::report::tests::{golden, rendered, report, sample};

    fn page(report: &Report) -> String {
        String::from_utf8(rendered(report, Format::Html)).unwrap()
    }

    #[test]
    fn as_the_golden_has_it() {
        let page = page(&sample())
            .replace(STYLE, "page.css\n")
            .replace(SCRIPT, "page.js\n")
            .replace(&format!("zaudit {}", env!("CARGO_PKG_VERSION")), "zaudit VERSION");
        golden("report.html", page.as_bytes());
    }

    #[test]
    fn nothing_is_loaded() {
        let page = page(&sample());
        for word in ["http:", "https:", "src=", "url(", "@import", "fetch(", "innerHTML", "eval("] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn hostile_names_are_text_everywhere() {
        let name = "a.</script><script>alert(1)</script><img src=x onerror='alert(2)'>\"\u{202e}.m";
        let mut report = report(&session(&[(Kind::Inflater, &[MADE, name, name], 1, 0, 0, 1)]));
        (report.process.command, report.process.jvm) = (name.into(), name.into());
        let page = page(&report);
        assert_eq!(page.matches("<script").count(), 2, "the data's and the page's own");
        assert_eq!(page.matches("</script").count(), 2);
        assert!(!page.contains("<img") && !page.contains('\u{202e}'));
    }

    #[test]
    fn every_place_is_in_the_page_and_the_rest_waits_in_a_template() {
        let names: Vec<String> = (0..table::ROWS + 7).map(|n| format!("a.B{n}.c")).collect();
        let stacks: Vec<[&str; 2]> = names.iter().map(|name| [MADE, name.as_str()]).collect();
        let made: Vec<_> =
            stacks.iter().map(|stack| (Kind::Inflater, &stack[..], 1, 0, 0, 1)).collect();
        let page = page(&report(&session(&made)));
        let (table, rest) = page.split_once("<template").unwrap();
        assert_eq!(table.matches(" data-at=").count(), table::ROWS);
        assert_eq!(rest.matches(" data-at=").count(), 7);
        assert!(page.contains("the worst 300 of 307 findings"));
    }

    #[test]
    fn it_says_what_to_do_first() {
        for (ended, collected, said) in
            [(1, 1, Some("Fix this first")), (1, 0, Some("Check this first")), (2, 0, None)]
        {
            let page = page(&report(&session(&[(
                Kind::Inflater,
                &[MADE, "a.B.c"],
                2,
                ended,
                0,
                collected,
            )])));
            let found = ["Fix this first", "Check this first"]
                .into_iter()
                .find(|words| page.contains(words));
            assert_eq!(found, said);
        }
    }

    #[test]
    fn rules_that_were_not_used_or_went_over_are_said() {
        use crate::analysis::rules::Rule;
        let session = session(&[(Kind::Inflater, &[MADE, "a.Pool.b"], 5, 0, 0, 0)]);
        let rules =
            ["live:a.Pool.* max=3", "live:a.<b>.*"].map(|text| Rule::parse(text, false).unwrap());
        let taken = crate::model::Nanos(1);
        let snapshot = session.snapshot(taken, std::time::Duration::ZERO).unwrap();
        let process = report(&session).process;
        let page = page(
            &Report::new(process, Default::default(), &snapshot, rules.into(), Default::default())
                .unwrap(),
        );
        assert!(page.contains("over its maximum: 5 found, 3 allowed"), "{page}");
        assert!(page.contains("Unused rule: <code>live:a.&lt;b&gt;.*</code>"), "{page}");
    }
}
