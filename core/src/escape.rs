//! Characters that are not shown as what they are, written as `\u{…}`: the one table for every
//! output of agent and command.
//!
//! Names come from class files, and messages hold paths and options from anywhere. Invariant: what
//! leaves here has no character that a terminal obeys, that reorders or ends a line, or that is not
//! visible.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

/// The characters, as ranges in rising order:
/// - C0, DEL and C1: terminals obey them;
/// - the bidirectional controls and the line and paragraph separators: they reorder or break a
///   line;
/// - Unicode's `Default_Ignorable_Code_Point` (zero-width characters, fillers, tags, variation
///   selectors …) and the interlinear annotation characters: they are invisible, so that different
///   names look the same.
const HOSTILE: [(char, char); 19] = [
    ('\u{0}', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a character must not be written as it is.
pub fn is_hostile(c: char) -> bool {
    let end = HOSTILE.partition_point(|(first, _)| *first <= c);
    let range = end.checked_sub(1).and_then(|at| HOSTILE.get(at));
    range.is_some_and(|(_, last)| c <= *last)
}

/// A text in which hostile characters are escaped, line breaks too.
pub fn text(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// The same for a text of several lines, which keep their ends.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n')
}

/// A path for a message.
pub fn path(path: &Path) -> String {
    text(&path.to_string_lossy()).into_owned()
}

fn escaped(text: &str, stays: fn(char) -> bool) -> Cow<'_, str> {
    let escapes = |c: char| is_hostile(c) && !stays(c);
    if !text.contains(escapes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if escapes(c) {
            // Writing to a string does not fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The characters that [`text`] escaped, again. Other escapes stay as they are, so that a text has
/// one escaped form.
pub fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u{") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\u{") {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let digits =
            from.get(3..).and_then(|from| from.split_once('}')).map_or("", |(digits, _)| digits);
        let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        let c = c.filter(|c| {
            is_hostile(*c) && c.escape_unicode().eq(from.chars().take(digits.len() + 4))
        });
        let taken = match c {
            Some(c) => {
                out.push(c);
                digits.len() + 4
            }
            None => {
                out.push('\\');
                1
            }
        };
        rest = from.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// A sink for JSON: hostile characters become JSON's own escapes, which mean the same. Only strings
/// hold them; C0 is left to the serializer, because line breaks stand between the strings, too.
#[derive(Debug)]
pub struct Json<W> {
    to: W,
    /// The beginning of a character whose rest has not come yet.
    begun: Vec<u8>,
}

impl<W: Write> Json<W> {
    /// A sink that writes to `to`.
    pub fn new(to: W) -> Self {
        Json { to, begun: Vec::new() }
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| *c > '\u{1f}' && is_hostile(*c)) {
            self.to.write_all(text.get(plain..at).unwrap_or_default().as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(self.to, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        self.to.write_all(text.get(plain..).unwrap_or_default().as_bytes())
    }
}

impl<W: Write> Write for Json<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Nearly all of a report, and quickly seen. The serializer has escaped what is below.
        if self.begun.is_empty() && bytes.is_ascii() && !bytes.contains(&0x7f) {
            self.to.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let whole = if self.begun.is_empty() {
            Cow::Borrowed(bytes)
        } else {
            self.begun.extend_from_slice(bytes);
            Cow::Owned(std::mem::take(&mut self.begun))
        };
        match std::str::from_utf8(&whole) {
            Ok(text) => self.text(text)?,
            Err(error) if error.error_len().is_none() => {
                let (valid, begun) =
                    whole.split_at_checked(error.valid_up_to()).unwrap_or_default();
                self.text(&String::from_utf8_lossy(valid))?;
                self.begun = begun.to_vec();
            }
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The first and the last character of each range: tests of agent and command send them through
/// every output.
pub fn samples() -> impl Iterator<Item = char> {
    HOSTILE
        .iter()
        .flat_map(|(first, last)| [*first, *last])
        .chain(['\n', '\u{1b}', '\u{9b}', '\u{200d}', '\u{2066}'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_what_it_must_have_and_is_in_order() {
        let sorted = HOSTILE.windows(2).all(|pair| pair[0].1 < pair[1].0);
        assert!(sorted && HOSTILE.iter().all(|(first, last)| first <= last));
        for (first, last) in [
            ('\u{0}', '\u{1f}'),
            ('\u{7f}', '\u{9f}'),
            ('\u{61c}', '\u{61c}'),
            ('\u{200b}', '\u{200f}'),
            ('\u{2028}', '\u{202e}'),
            ('\u{2060}', '\u{2060}'),
            ('\u{2066}', '\u{2069}'),
            ('\u{feff}', '\u{feff}'),
            ('\u{fff9}', '\u{fffb}'),
            ('\u{e0000}', '\u{e007f}'),
        ] {
            assert!((first..=last).all(is_hostile), "{first:?}");
        }
        for c in (' '..='~').chain(['ä', '·', '→', '≈', '\u{a0}', '\u{fffd}', '中', '\u{1F600}'])
        {
            assert!(!is_hostile(c), "{c:?}");
        }
        assert!((char::MIN..=char::MAX).all(|c| is_hostile(c) || !c.is_control()));
    }

    #[test]
    fn every_character_is_escaped_and_comes_back() {
        for c in (char::MIN..=char::MAX).filter(|c| is_hostile(*c)) {
            let name = format!("a{c}b");
            let shown = text(&name);
            assert_eq!(shown, format!("a\\u{{{:x}}}b", u32::from(c)));
            assert_eq!(unescaped(&shown), name);
            assert_eq!(lines(&name) == name, c == '\n');
            let mut json = Vec::new();
            serde_json::to_writer(Json::new(&mut json), &name).unwrap();
            assert!(json.is_ascii() && json.iter().all(|byte| !byte.is_ascii_control()), "{c:?}");
            assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), name);
        }
    }

    #[test]
    fn other_backslashes_stay() {
        for same in [
            "",
            "\\",
            "\\u",
            "\\u{",
            "\\u{}",
            "\\u{41}",
            "\\u{1b",
            "\\u{001b}",
            "\\u{1B}",
            "\\u{d800}",
            "ä\\u{ä}",
        ] {
            assert_eq!(unescaped(same), same);
        }
        assert_eq!(unescaped("\\u{\\u{1b}\\\\u{202e}ä"), "\\u{\u{1b}\\\u{202e}ä");
        assert_eq!(path(Path::new("a\n\u{202e}b")), "a\\u{a}\\u{202e}b");
    }

    #[test]
    fn characters_may_come_in_pieces() {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        for byte in "\"ö\u{202e}\u{e0001}\u{1F600}\"\n".bytes() {
            json.write_all(&[byte]).unwrap();
        }
        json.flush().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\"ö\\u202e\\udb40\\udc01\u{1F600}\"\n");
        assert!(Json::new(Vec::new()).write_all(&[0xff]).is_err());
    }
}
