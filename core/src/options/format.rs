//! The formats of a report, by their names and by those of files.
//!
//! Leaves to others what each looks like. Invariant: every name of a file has a format.

use std::path::Path;

/// A report's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs (`docs/json-report.md`).
    Json,
    /// For people with a browser.
    Html,
    /// For `go tool pprof` and what reads its files.
    Pprof,
    /// One line a stack: for flame graph programs.
    Collapsed,
    /// For Prometheus' collectors of text files.
    Prom,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 6] =
        [Format::Text, Format::Json, Format::Html, Format::Pprof, Format::Collapsed, Format::Prom];

    /// As the option has it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Html => "html",
            Format::Pprof => "pprof",
            Format::Collapsed => "collapsed",
            Format::Prom => "prom",
        }
    }

    /// What it is for, for help texts.
    pub fn purpose(self) -> &'static str {
        match self {
            Format::Text => "for people",
            Format::Json => "for programs, and for zaudit render, diff, merge and suppress",
            Format::Html => "one self-contained page for a browser",
            Format::Pprof => "for go tool pprof and other readers of its files",
            Format::Collapsed => "one line per stack, for flame graph programs",
            Format::Prom => "metrics for Prometheus",
        }
    }

    /// By its name; none for `auto`.
    pub fn parse(name: &str) -> Result<Option<Format>, String> {
        let found = Format::ALL.into_iter().find(|format| format.name() == name);
        if found.is_none() && name != "auto" {
            return Err(format!("there are auto, {}", Format::ALL.map(Format::name).join(", ")));
        }
        Ok(found)
    }

    /// By a file's name; text where that says nothing.
    pub fn of_file(path: &Path) -> Format {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match () {
            () if ends(&[".json"]) => Format::Json,
            () if ends(&[".html", ".htm"]) => Format::Html,
            () if ends(&[".pb.gz", ".pprof"]) => Format::Pprof,
            () if ends(&[".collapsed", ".folded"]) => Format::Collapsed,
            () if ends(&[".prom"]) => Format::Prom,
            () => Format::Text,
        }
    }

    /// Who may read a file of it: a collector of metrics is another user, and reads no stacks; all else is the process's own
    /// user's. The process's umask still takes from it.
    pub fn mode(self) -> u32 {
        if self == Format::Prom { 0o644 } else { 0o600 }
    }

    /// Whether it may be written among lines of text.
    pub fn is_text(self) -> bool {
        self != Format::Pprof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for format in Format::ALL {
            assert_eq!(Format::parse(format.name()), Ok(Some(format)));
        }
        assert_eq!(Format::parse("auto"), Ok(None));
        assert_eq!(
            Format::parse("xml").unwrap_err(),
            "there are auto, text, json, html, pprof, collapsed, prom"
        );
    }

    #[test]
    fn names_of_files() {
        for (name, format) in [
            ("r.json", Format::Json),
            ("/a.json/r.1.JSON", Format::Json),
            ("a.json/r", Format::Text),
            ("r.html", Format::Html),
            ("r.pb.gz", Format::Pprof),
            ("r.gz", Format::Text),
            ("r.folded", Format::Collapsed),
            ("r.prom", Format::Prom),
            ("r.txt", Format::Text),
            ("/dev/stderr", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(Format::of_file(Path::new(name)), format, "{name}");
        }
    }
}
