//! A file for each format of a report, so that no suite keeps a list of formats.
//!
//! Invariant: the agent writes a file of this name in this format.

use std::path::Path;
use zaudit_core::options::Format;

/// `r.json`, `r.txt`: the usual name of a report in this format.
#[must_use]
pub fn file(format: Format) -> String {
    // Text has no extension: any other name is text.
    format!("r{}", format.spec().extensions.first().unwrap_or(&".txt"))
}

/// The options for a file in each format, in this folder.
#[must_use]
pub fn files_in(folder: &Path) -> String {
    Format::ALL.map(|format| format!("file={}", folder.join(file(format)).display())).join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_selects_its_format() {
        for format in Format::ALL {
            assert_eq!(Format::of_file(Path::new(&file(format))), format);
        }
    }
}
