//! The formats of a report: their names, the extensions of their files, who may read these.
//!
//! A new format is a row of [`FORMATS`], a variant of [`Format`], and a renderer in `report`. Lists
//! of formats, here and in tests, are made from [`FORMATS`]. Invariant: every file name has a
//! format.

use std::path::Path;

/// A report's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For people with a browser.
    Html,
    /// For programs (`docs/json-report.md`).
    Json,
    /// For `go tool pprof` and what reads its files.
    Pprof,
    /// For flame graph programs: one line for each stack.
    Collapsed,
    /// For Prometheus, through the textfile collector of node_exporter.
    Prom,
    /// For a comment on a pull request, or a job summary.
    Markdown,
}

/// What is known of a format without rendering it.
#[derive(Clone, Copy, Debug)]
pub struct FormatSpec {
    /// The format.
    pub format: Format,
    /// The word that options use.
    pub name: &'static str,
    /// File name extensions that select it, with the dot; the first is the usual one.
    pub extensions: &'static [&'static str],
    /// Mode of a file in it. The umask of the process still applies.
    pub mode: u32,
    /// Whether it may be written among other lines of text.
    pub is_text: bool,
    /// What it is for, in a few words.
    pub summary: &'static str,
}

/// Stacks and command lines are for the user of the process only.
const PRIVATE: u32 = 0o600;
/// Metrics are read by a collector, which is another user, and have no stacks.
const PUBLIC: u32 = 0o644;

const TEXT: FormatSpec = FormatSpec {
    format: Format::Text,
    name: "text",
    // And any other.
    extensions: &[],
    mode: PRIVATE,
    is_text: true,
    summary: "for people",
};

/// All formats, in the order in which help lists them.
pub const FORMATS: &[FormatSpec] = &[
    TEXT,
    FormatSpec {
        format: Format::Html,
        name: "html",
        extensions: &[".html", ".htm"],
        mode: PRIVATE,
        is_text: true,
        summary: "one self-contained page for a browser",
    },
    FormatSpec {
        format: Format::Json,
        name: "json",
        extensions: &[".json"],
        mode: PRIVATE,
        is_text: true,
        summary: "for programs, and for zaudit render, diff, merge and suppress",
    },
    FormatSpec {
        format: Format::Pprof,
        name: "pprof",
        extensions: &[".pb.gz", ".pprof"],
        mode: PRIVATE,
        is_text: false,
        summary: "for go tool pprof and other readers of its files",
    },
    FormatSpec {
        format: Format::Collapsed,
        name: "collapsed",
        extensions: &[".collapsed", ".folded"],
        mode: PRIVATE,
        is_text: true,
        summary: "one line per stack, for flame graph programs",
    },
    FormatSpec {
        format: Format::Prom,
        name: "prom",
        extensions: &[".prom"],
        mode: PUBLIC,
        is_text: true,
        summary: "metrics for the textfile collector of node_exporter",
    },
    FormatSpec {
        format: Format::Markdown,
        name: "markdown",
        extensions: &[".md", ".markdown"],
        mode: PRIVATE,
        is_text: true,
        summary: "for a comment on a pull request, or a job summary",
    },
];

impl Format {
    /// All formats, in the order of [`FORMATS`].
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler; both are as long")]
    pub const ALL: [Format; FORMATS.len()] = {
        let mut all = [Format::Text; FORMATS.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = FORMATS[at].format;
            at += 1;
        }
        all
    };

    /// Its row of the table.
    pub fn spec(self) -> &'static FormatSpec {
        // A format without a row has no name, so that no option can select it.
        FORMATS.iter().find(|spec| spec.format == self).unwrap_or(&TEXT)
    }

    /// The word that options use.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// What it is for, in a few words.
    pub fn summary(self) -> &'static str {
        self.spec().summary
    }

    /// By its name; none for `auto`.
    pub fn parse(name: &str) -> Result<Option<Format>, String> {
        let found = FORMATS.iter().find(|spec| spec.name == name);
        if found.is_none() && name != "auto" {
            return Err(format!(
                "must be one of auto, {}",
                Format::ALL.map(Format::name).join(", ")
            ));
        }
        Ok(found.map(|spec| spec.format))
    }

    /// By the extension of a file; text for any that is not in the table.
    pub fn of_file(path: &Path) -> Format {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let selects =
            |spec: &&FormatSpec| spec.extensions.iter().any(|extension| name.ends_with(extension));
        FORMATS.iter().find(selects).map_or(Format::Text, |spec| spec.format)
    }

    /// Mode of a file in this format. The umask of the process still applies.
    pub fn mode(self) -> u32 {
        self.spec().mode
    }

    /// Whether it may be written among other lines of text.
    pub fn is_text(self) -> bool {
        self.spec().is_text
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
        let wrong = Format::parse("xml").unwrap_err();
        assert!(wrong.starts_with("must be one of auto, text, html, json, "), "{wrong}");
    }

    #[test]
    fn each_row_is_the_row_of_its_format() {
        for spec in FORMATS {
            assert_eq!(spec.format.name(), spec.name, "{:?} has two rows", spec.format);
        }
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
            ("r.md", Format::Markdown),
            ("r.txt", Format::Text),
            ("/dev/stderr", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(Format::of_file(Path::new(name)), format, "{name}");
        }
    }
}
