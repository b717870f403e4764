//! The program `zaudit`: all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    zaudit_cli::main()
}
