//! `/proc/PID/maps`: the files that a process has mapped.
//!
//! Owns the syntax. Invariant: a path is the text after the inode, byte for byte, except that the
//! kernel writes `\012` for a line break and appends ` (deleted)`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The mapped files of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Maps(Vec<PathBuf>);

impl Maps {
    /// Parses the text.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut files: Vec<PathBuf> = Vec::new();
        for file in text.split(|byte| *byte == b'\n').filter_map(file) {
            // The segments of one file are adjacent.
            if files.last() != Some(&file) {
                files.push(file);
            }
        }
        Self(files)
    }

    /// Whether there are none: a process that is exiting releases its memory first.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first file of this name.
    pub(crate) fn named(&self, name: &OsStr) -> Option<&PathBuf> {
        self.0.iter().find(|path| path.file_name() == Some(name))
    }

    /// Whether this is HotSpot. OpenJ9 has a `libjvm.so`, too, which only forwards to its own
    /// library.
    pub(crate) fn hotspot(&self) -> bool {
        let openj9 = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"libj9vm"))
        };
        self.named(OsStr::new("libjvm.so")).is_some() && !self.0.iter().any(openj9)
    }
}

/// `7f00-7f01 r-xp 0000 fe:00 1234   /usr/lib/libz.so`: the sixth field is the rest of the line.
fn file(line: &[u8]) -> Option<PathBuf> {
    let mut rest = line;
    for _ in 0..5 {
        let start = rest.iter().position(|byte| *byte != b' ')?;
        let end = start + rest.get(start..)?.iter().position(|byte| *byte == b' ')?;
        rest = rest.get(end..)?;
    }
    let path = rest.get(rest.iter().position(|byte| *byte != b' ')?..)?;
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    path.starts_with(b"/").then(|| PathBuf::from(OsString::from_vec(unescaped(path))))
}

fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, behind)) = rest.split_first() {
        rest = match behind.strip_prefix(b"012") {
            Some(behind) if *first == b'\\' => {
                bytes.push(b'\n');
                behind
            }
            _ => {
                bytes.push(*first);
                behind
            }
        };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(paths: &[&str]) -> Maps {
        let line =
            |path: &&str| format!("7f5c2e000000-7f5c2e021000 r-xp 00000000 fe:00 131 {path}\n");
        Maps::parse(paths.iter().map(line).collect::<String>().as_bytes())
    }

    #[test]
    fn paths_with_all_that_may_be_in_them() {
        for (written, meant) in [
            ("      /lib/libzaudit.so", "/lib/libzaudit.so"),
            ("/a b/libzaudit.so", "/a b/libzaudit.so"),
            ("/gone/libzaudit.so (deleted)", "/gone/libzaudit.so"),
            ("/line\\012break/libzaudit.so", "/line\nbreak/libzaudit.so"),
        ] {
            let found = maps(&["[heap]", written, written, "//anon"]);
            assert_eq!(
                found.named(OsStr::new("libzaudit.so")),
                Some(&PathBuf::from(meant)),
                "{written}"
            );
            assert_eq!(found.0.len(), 2, "{found:?}");
        }
        assert_eq!(maps(&["/lib/libzaudit.so.1"]).named(OsStr::new("libzaudit.so")), None);
    }

    #[test]
    fn which_jvm() {
        assert!(maps(&["/jdk/lib/server/libjvm.so"]).hotspot());
        assert!(!maps(&["/jdk/lib/default/libjvm.so", "/jdk/lib/default/libj9vm29.so"]).hotspot());
        assert!(!maps(&["/bin/sleep"]).hotspot());
    }

    #[test]
    fn other_text_is_ignored() {
        for text in [
            &b""[..],
            b"\n\n",
            b"a b c d e",
            b"a b c d e ",
            b"     ",
            b"1 2 3 4 5 relative",
            &[0xff; 64],
        ] {
            assert_eq!(Maps::parse(text), Maps::default(), "{text:?}");
        }
    }
}
