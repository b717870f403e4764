//! Rule files: one rule a line, in the user's hand.
//!
//! Opens no file; is given its name, to complain, and its text. Invariant: whatever the text is (a
//! binary, another program's log), what is kept of it is bounded, and each complaint is one short
//! line that a terminal may show.

use super::Rule;
use crate::escape;

/// Rules read of one file.
pub const MAX_RULES: usize = 10_000;
/// Bytes of a line.
const MAX_LINE: usize = 4_096;
/// Complaints about single lines; the rest is summed up in one more.
const MAX_COMPLAINTS: usize = 20;
/// Characters of a complaint's reason: it may quote the line.
const MAX_REASON: usize = 200;

impl Rule {
    /// Reads a file of rules, `#` and what follows it being a comment where a line or a blank is
    /// before it. Each line that is no rule becomes one complaint, `name:line: reason`.
    pub fn read_file(name: &str, text: &str) -> (Vec<Rule>, Vec<String>) {
        let (mut rules, mut complaints, mut unsaid) = (Vec::new(), Vec::new(), 0_usize);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
            let result = match without_comment(line) {
                Err(why) => Err(why),
                Ok("") => continue,
                Ok(_) if rules.len() == MAX_RULES => {
                    complaints.push(one_line(
                        name,
                        number,
                        &format!("more than {MAX_RULES} rules; the rest is ignored"),
                    ));
                    break;
                }
                Ok(rule) => Rule::parse(rule, false)
                    .map(|rule| Rule { source: format!("{name}:{number}"), ..rule }),
            };
            match result {
                Ok(rule) => rules.push(rule),
                Err(_) if complaints.len() == MAX_COMPLAINTS => unsaid += 1,
                Err(why) => complaints.push(one_line(name, number, &why)),
            }
        }
        if unsaid > 0 {
            let lines = if unsaid == 1 { "line is" } else { "lines are" };
            complaints.push(format!("{}: {unsaid} more {lines} invalid", escape::text(name)));
        }
        (rules, complaints)
    }
}

/// The rule of a line, or nothing.
fn without_comment(line: &str) -> Result<&str, String> {
    if line.len() > MAX_LINE {
        return Err(format!("the line is longer than {MAX_LINE} bytes"));
    }
    let begins = |at: usize| {
        line.get(..at).is_none_or(|before| before.is_empty() || before.ends_with([' ', '\t']))
    };
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| begins(*at));
    Ok(comment.and_then(|at| line.get(..at)).unwrap_or(line).trim())
}

fn one_line(name: &str, number: usize, why: &str) -> String {
    let why = match why.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", why.get(..end).unwrap_or(why)),
        None => why.to_owned(),
    };
    format!("{}:{number}: {}", escape::text(name), escape::text(&why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_read() {
        for (text, rules, complaints) in [
            ("", &[][..], &[][..]),
            ("\u{feff}", &[], &[]),
            ("# nothing\n\n   \n\t# at all", &[], &[]),
            ("live:a.B.c", &["live:a.B.c"], &[]),
            (
                "\u{feff}live:a.B.c\r\n\r\nleak , live : *.x < y.*  # why\r\n",
                &["live:a.B.c", "leak , live : *.x < y.*"],
                &[],
            ),
            ("live:a.B#c.d", &["live:a.B#c.d"], &[]),
            (
                "live:a.b\nleek:a.b\nleak:\n# fine\nleak:c.d",
                &["live:a.b", "leak:c.d"],
                &[
                    "r.rules:2: unknown word \"leek\"; use leak, live, inflater, deflater or zip_entry",
                    "r.rules:3: a pattern is empty",
                ],
            ),
            (
                "# no rule follows\nlive",
                &[],
                &["r.rules:2: must be leak:PATTERN, live:PATTERN or leak,live:PATTERN"],
            ),
        ] {
            let (read, complained) = Rule::read_file("r.rules", text);
            assert_eq!(
                read.iter().map(|rule| rule.text.as_str()).collect::<Vec<_>>(),
                rules,
                "{text:?}"
            );
            assert!(read.iter().all(|rule| !rule.built_in && rule.source.starts_with("r.rules:")));
            assert_eq!(complained, complaints, "{text:?}");
        }
    }

    #[test]
    fn hostile_files_are_bounded() {
        let binary: Vec<u8> =
            (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for (text, rules, complaints) in [
            ("x".repeat(1 << 20), 0, 1),
            (format!("{}:a", "\u{1b}[2J\u{0}".repeat(500)), 0, 1),
            ("live:a\rlive:b\u{85}\u{2028}c\n".into(), 1, 0),
            ("x\n".repeat(100_000), 0, MAX_COMPLAINTS + 1),
            ("live:a.b\n".repeat(100_000), MAX_RULES, 1),
            (String::from_utf8_lossy(&binary).into_owned(), 0, MAX_COMPLAINTS + 1),
        ] {
            let (read, complained) = Rule::read_file("r\n.rules", &text);
            let begin: String = text.chars().take(40).collect();
            assert_eq!((read.len(), complained.len()), (rules, complaints), "{begin:?}");
            for complaint in complained {
                assert!(
                    complaint.chars().count() < 2_500 && !complaint.contains(char::is_control),
                    "{complaint}"
                );
            }
        }
        let (_, complained) = Rule::read_file("r", &"x\n".repeat(22));
        assert_eq!(complained.last().unwrap(), "r: 2 more lines are invalid");
    }
}
