//! `zaudit man` and `zaudit completions`, generated from the definition of the command line.
//!
//! Invariant: every subcommand is in both.

use crate::arguments::Arguments;
use crate::error::{CliError, Code};
use clap::CommandFactory;
use clap_mangen::roff::{Roff, roman};
use std::io;
use zaudit_core::files::reason;

/// The columns of the part of the manual page that man(1) does not wrap.
const WIDTH: usize = 80;

/// The manual page: the command, and then the `--help` of each subcommand.
pub(crate) fn page() -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let failed = |error: io::Error| CliError::new(Code::Failed, reason(&error), "");
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
