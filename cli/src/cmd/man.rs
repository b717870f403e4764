//! `zaudit man` and `zaudit completions`, generated from the definition of the command line and the
//! table of options.
//!
//! Invariant: every subcommand is in the page and the completions, and every option in its page.

use crate::arguments::Arguments;
use crate::error::{CliError, Code};
use clap::CommandFactory;
use clap_mangen::roff::{Inline, Roff, bold, roman};
use std::io;
use zaudit_core::files::reason;
use zaudit_core::options;

/// The columns of the part of the manual page that man(1) does not wrap.
const WIDTH: usize = 80;

/// The manual page: the command, and then the `--help` of each subcommand.
pub(crate) fn page() -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let mut command = Arguments::command().term_width(WIDTH);
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut bytes).map_err(failed)?;
    for subcommand in command.get_subcommands_mut() {
        let mut roff = Roff::new();
        roff.control("SH", [format!("ZAUDIT {}", subcommand.get_name().to_uppercase()).as_str()]);
        roff.control("nf", []);
        roff.text([roman(subcommand.render_long_help().to_string())]);
        roff.control("fi", []);
        roff.to_writer(&mut bytes).map_err(failed)?;
    }
    Ok(bytes)
}

fn failed(error: io::Error) -> CliError {
    CliError::new(Code::Failed, reason(&error), "")
}

/// The manual page of the agent's options: what `docs/options.md` lists.
pub(crate) fn options() -> Result<Vec<u8>, CliError> {
    let mut page = Roff::new();
    let version = concat!("zaudit ", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["zaudit-options", "7", "", version]);
    page.control("SH", ["NAME"]);
    page.text([roman("zaudit-options - the options of the agent libzaudit.so")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([bold("java -agentpath:/path/to/libzaudit.so=OPTION[=VALUE],...")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "A comma in a value is written as \\,. @FILE reads options from a file: any number a line; \
         # starts a comment. The environment variable ZAUDIT_OPTIONS is read first. If an option is \
         given twice, the last value wins. Times have a unit: 500ms, 1.5s, 10m, 1h. Sizes may have \
         one: 64k, 16m, 1g (powers of 1,024).",
    )]);
    for line in options::markdown().lines() {
        if let Some(title) = line.strip_prefix("## ") {
            page.control("SH", [title.to_uppercase().as_str()]);
        } else if let Some(option) = line.strip_prefix("### ") {
            page.control("TP", []);
            page.text(inlines(option));
        } else if line.starts_with("Default: ") {
            page.control("br", []);
            page.text(inlines(line));
        } else if !line.is_empty() {
            page.text(inlines(line));
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("zaudit"), roman("(1)")]);
    let mut bytes = Vec::new();
    page.to_writer(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// A line of Markdown: code is bold, and of a link its text is left.
fn inlines(line: &str) -> Vec<Inline> {
    let mut text = String::new();
    for (at, part) in line.split('[').enumerate() {
        let link =
            part.split_once("](").and_then(|(words, rest)| Some((words, rest.split_once(')')?.1)));
        match link {
            Some((words, rest)) if at > 0 => text.extend([words, rest]),
            _ if at > 0 => text.extend(["[", part]),
            _ => text.push_str(part),
        }
    }
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// Completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "zaudit", &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_option_is_there() {
        let page = String::from_utf8(options().unwrap()).unwrap();
        let headings = zaudit_core::options::markdown();
        let headings: Vec<_> = headings.lines().filter(|line| line.starts_with("### ")).collect();
        assert!(headings.len() > 20, "{headings:?}");
        assert_eq!(page.matches(".TP\n").count(), headings.len());
        for heading in headings {
            let name: String = heading
                .chars()
                .skip(5)
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            assert!(page.contains(&format!(".TP\n\\fB{name}")), "{name} is not in\n{page}");
        }
        assert!(!page.contains('`') && !page.contains("]("), "Markdown in\n{page}");
    }

    #[test]
    fn every_subcommand_is_there() {
        let page = String::from_utf8(page().unwrap()).unwrap();
        for subcommand in Arguments::command().get_subcommands() {
            let name = subcommand.get_name();
            assert!(
                page.contains(&format!("ZAUDIT {}", name.to_uppercase())),
                "{name} is not in the page"
            );
            for shell in clap_complete::Shell::value_variants() {
                let text = String::from_utf8(completions(*shell)).unwrap();
                assert!(text.contains(name), "{name} is not completed by {shell}");
            }
        }
    }
}
