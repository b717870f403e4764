//! Texts that are stored, and change only on purpose: compared line by line, rewritten by
//! `BLESS=1`.
//!
//! The unit tests of `core` and `cli` include this file: they cannot depend on this package.
//! Invariant: a golden that is missing is a failure, and only `BLESS=1` writes one.

use std::fs;
use std::path::Path;

/// Lines shown before the first difference and after the last.
const CONTEXT: usize = 3;

/// Lines shown of each side where they differ.
const SHOWN: usize = 12;

/// Characters shown of a line that differs: a page of HTML may have its data in one line.
const WIDTH: usize = 200;

/// Whether goldens are to be rewritten instead of compared.
#[must_use]
pub fn is_blessed() -> bool {
    std::env::var_os("BLESS").is_some_and(|value| value == "1")
}

/// Compares `actual` with the file `path`, or writes it there with `BLESS=1`.
pub fn golden(path: &Path, actual: &str) -> Result<(), String> {
    compare(path, actual, is_blessed())
}

fn compare(path: &Path, actual: &str, bless: bool) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if bless {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        return fs::write(path, actual).map_err(failed);
    }
    let stored = fs::read_to_string(path)
        .map_err(|error| format!("{}; BLESS=1 writes it", failed(error)))?;
    match difference(&stored, actual) {
        None => Ok(()),
        Some(lines) => Err(format!("{} differs; BLESS=1 rewrites it\n{lines}", path.display())),
    }
}

/// Where two texts differ: the lines between the first and the last difference, `-` of the stored
/// text and `+` of the actual one, with some that are the same around them.
#[must_use]
pub fn difference(stored: &str, actual: &str) -> Option<String> {
    if stored == actual {
        return None;
    }
    // With their ends, so that a missing line end is a difference.
    let lines = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(stored), lines(actual));
    let same = |pairs: &mut dyn Iterator<Item = (&String, &String)>| {
        pairs.take_while(|(a, b)| a == b).count()
    };
    let before = same(&mut old.iter().zip(&new));
    let after = same(&mut old[before..].iter().rev().zip(new[before..].iter().rev()));
    let (old_end, new_end) = (old.len() - after, new.len() - after);
    let mut out = format!("at line {}:\n", before + 1);
    // What the first lines that differ have in common is not shown where they are long.
    let first = |lines: &[String]| lines.get(before).cloned().unwrap_or_default();
    let common = first(&old).chars().zip(first(&new).chars()).take_while(|(a, b)| a == b).count();
    let mut show = |sign: char, lines: &[String]| {
        for line in lines {
            out.push(sign);
            out.push_str(&window(line.strip_suffix('\n').unwrap_or(line), common));
            out.push_str(if line.ends_with('\n') { "\n" } else { "⏎ missing\n" });
        }
    };
    let shown = |lines: &[String]| lines.len().min(SHOWN);
    show(' ', &old[before.saturating_sub(CONTEXT)..before]);
    for (sign, lines) in [('-', &old[before..old_end]), ('+', &new[before..new_end])] {
        show(sign, &lines[..shown(lines)]);
        if lines.len() > SHOWN {
            show(sign, &[format!("… {} more lines\n", lines.len() - SHOWN)]);
        }
    }
    show(' ', &old[old_end..(old_end + CONTEXT).min(old.len())]);
    Some(out)
}

/// A line, or [`WIDTH`] characters of it around its character `at`, with `…` for the others.
fn window(line: &str, at: usize) -> String {
    let length = line.chars().count();
    if length <= WIDTH {
        return line.to_owned();
    }
    let begin = at.saturating_sub(WIDTH / 4).min(length - WIDTH);
    let shown: String = line.chars().skip(begin).take(WIDTH).collect();
    let left_out = |any: bool| if any { "…" } else { "" };
    format!("{}{shown}{}", left_out(begin > 0), left_out(begin + WIDTH < length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_with_its_surroundings() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let stored = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let actual = stored.replace("5\n", "five\nand more\n");
        let shown = "at line 5:\n 2\n 3\n 4\n-5\n+five\n+and more\n 6\n 7\n 8\n";
        assert_eq!(difference(stored, &actual).as_deref(), Some(shown));
        assert_eq!(difference("a\n", "a\na\n").as_deref(), Some("at line 2:\n a\n+a\n"));
        assert_eq!(difference("a\n", "a").as_deref(), Some("at line 1:\n-a\n+a⏎ missing\n"));
        let many: String = (0..40).map(|number| format!("{number}\n")).collect();
        let shown = difference("", &many).unwrap();
        assert!(shown.contains("+11\n+… 28 more lines\n") && !shown.contains("+12\n"), "{shown}");
    }

    #[test]
    fn of_a_long_line_its_difference_is_shown() {
        let long = |middle: &str| format!("{}{middle}{}\n", "a".repeat(9_000), "b".repeat(9_000));
        let shown = difference(&long("old"), &long("new")).unwrap();
        assert!(shown.contains("aaaoldbbb") && shown.contains("aaanewbbb"), "{shown}");
        assert!(shown.chars().count() < 3 * WIDTH, "{shown}");
        let shown = difference(&long(""), &(long("") + "c\n")).unwrap();
        assert!(shown.contains("aaa…\n+c\n"), "{shown}");
    }

    #[test]
    fn only_a_blessing_writes() {
        let folder = std::env::temp_dir().join(format!("zaudit-golden-{}", std::process::id()));
        let path = folder.join("sub/golden.txt");
        assert!(compare(&path, "a\n", false).unwrap_err().contains("BLESS=1 writes it"));
        assert!(!path.exists());
        compare(&path, "a\n", true).unwrap();
        compare(&path, "a\n", false).unwrap();
        assert!(compare(&path, "b\n", false).unwrap_err().ends_with("at line 1:\n-a\n+b\n"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n");
        fs::remove_dir_all(folder).unwrap();
    }
}
