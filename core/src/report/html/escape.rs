//! What comes from the program, made harmless: as text of the page, and inside the data that its
//! script reads.
//!
//! Invariant: nothing that left here begins a tag, ends an attribute, a string or a script, or
//! turns the line around.

use crate::escape::is_hostile;
use std::fmt::{self, Display, Formatter, Write as _};
use std::io::{self, Write};

/// Text between tags or in a quoted attribute.
pub(super) struct Plain<'a>(pub(super) &'a str);

impl Display for Plain<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => to.write_str("&amp;"),
            '<' => to.write_str("&lt;"),
            '>' => to.write_str("&gt;"),
            '"' => to.write_str("&quot;"),
            '\'' => to.write_str("&#39;"),
            c if is_hostile(c) => write!(to, "{}", c.escape_unicode()),
            c => to.write_char(c),
        })
    }
}

/// A writer of JSON into a `<script>`: there is no `<` in it, so no end of the script and no
/// comment. JSON has these characters in strings only, where an escape means the same.
pub(super) struct ScriptData<'w>(pub(super) &'w mut dyn Write);

impl Write for ScriptData<'_> {
    /// Takes whole characters, as a serializer writes them.
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(json).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        for piece in text.split_inclusive(obeyed) {
            let plain = piece.trim_end_matches(obeyed);
            self.0.write_all(plain.as_bytes())?;
            if let Some(c) = piece.chars().next_back().filter(|c| obeyed(*c)) {
                write!(self.0, "\\u{:04x}", u32::from(c))?;
            }
        }
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What may mean something else than itself in a script.
fn obeyed(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        for (name, shown) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload='x'", "&quot; onload=&#39;x&#39;"),
            ("a\u{0}b\nc\u{202e}d", "a\\u{0}b\\u{a}c\\u{202e}d"),
            ("\u{1F600} ö", "\u{1F600} ö"),
        ] {
            assert_eq!(Plain(name).to_string(), shown);
        }
    }

    #[test]
    fn data_stays_in_its_script_and_means_the_same() {
        let hostile = "</script><!--<script>&\u{2028}\u{2029}\"\\";
        let mut data = Vec::new();
        serde_json::to_writer(ScriptData(&mut data), hostile).unwrap();
        let data = String::from_utf8(data).unwrap();
        assert!(!data.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{data}");
        assert_eq!(serde_json::from_str::<String>(&data).unwrap(), hostile);
    }
}
