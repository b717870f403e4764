//! The command line: every subcommand, option and help text.
//!
//! Owns the syntax only. Completions and the manual page are generated from it. Invariant: an
//! invalid command line is reported in one line on standard error.

use crate::duration;
use crate::error::{CliError, Code};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zaudit_core::options::Format;

/// Find the line of code that leaks native memory because it never ends a java.util.zip.Inflater or
/// Deflater
///
/// The agent, libzaudit.so, runs inside the JVM. This command starts programs under the agent,
/// attaches it to running JVMs, requests reports from it, and converts and compares saved reports.
#[derive(Debug, Parser)]
#[command(
    name = "zaudit",
    version,
    disable_help_subcommand = true,
    max_term_width = 80,
    after_help = EXIT_CODES
)]
pub(crate) struct Arguments {
    /// Path of the agent's library, as the JVM sees it [default: libzaudit.so next to this program,
    /// or in ../lib]
    ///
    /// A JVM in a container has its own file system. Copy the library into it (cp libzaudit.so
    /// /proc/PID/root/tmp/) and give the path inside: --library /tmp/libzaudit.so. If the JVM has
    /// already loaded the library, that one is used.
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "PATH",
        env = "ZAUDIT_LIBRARY",
        hide_env_values = true,
        value_hint = ValueHint::FilePath,
        value_parser = clap::value_parser!(OsString)
    )]
    library: Option<OsString>,

    /// The subcommand
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// The library that the user named; an empty variable names none.
    pub(crate) fn library(&self) -> Option<&Path> {
        self.library.as_deref().filter(|name| !name.is_empty()).map(Path::new)
    }
}

const EXIT_CODES: &str = "\
Exit codes:
    0  success
    1  refused by the agent, or another failure;
       zaudit diff: something is new or has grown
    2  wrong usage, or a file is not a report
    3  no such process
    4  not a 64-bit HotSpot JVM
    5  not permitted
    6  the JVM accepts no commands or no agents
    7  the JVM cannot see or load the library
    8  no answer in time
  130  interrupted
zaudit run ends with the exit code of the program.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a Java program under the agent
    ///
    /// Example: zaudit run gc file=report.html -- java -jar app.jar
    ///
    /// The program replaces zaudit: exit code, signals and standard streams are the program's. If
    /// the program is not called java (mvn, gradle, a start script), all JVMs that it starts get
    /// the agent through JAVA_TOOL_OPTIONS, and each prints a line about that variable on standard
    /// error. Use %p, the process id, in file names then.
    Run(Run),
    /// Attach to a running JVM and start auditing
    ///
    /// Example: zaudit attach 4711 duration=10m file=/var/tmp/report-%p.html
    ///
    /// Instances that are open already are counted, too, but their stacks are not known (adopted).
    /// Paths in the options are the JVM's: relative to its working directory, and accessed as its
    /// user. From JDK 21 on, the JVM prints a warning on standard error when an agent is attached,
    /// unless it was started with -XX:+EnableDynamicAgentLoading.
    Attach(Attach),
    /// Write a report now
    Dump(Dump),
    /// Show the state of the agent
    Status(Jvm),
    /// Start counting anew; instances that are live now become adopted
    Reset(Jvm),
    /// Write the final report, and restore the original bytecode
    Disarm(Dump),
    /// List the running JVMs, and whether they are audited
    Ps,
    /// Show the worst findings in a table that is refreshed until Ctrl-C
    Top(Top),
    /// Convert a JSON report to another format
    ///
    /// The result is, byte for byte, what the agent would have written in that format.
    Render(Render),
    /// Compare two JSON reports: new, grown, shrunk and gone sites
    ///
    /// Compares the leaks and suspects of each site, except those that a rule covers. A site is a
    /// kind and a whole stack, with line numbers. Adopted instances have no site and are not
    /// compared. Counts grow with time: compare runs of the same length; the output says how long
    /// both were. The exit code is 1 if something is new or has grown.
    Diff(Diff),
    /// Combine the JSON reports of several JVMs or runs
    ///
    /// Sites of the same kind and stack become one; trends are left out. Give one report of each
    /// run: instances that are in two reports of the same run are counted twice.
    Merge(Merge),
    /// Write a rule for each finding of a JSON report
    ///
    /// The rules are for the option suppressions. Each has the number found as its maximum, so an
    /// identical run passes and a worse one fails.
    Suppress(Suppress),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page; zaudit man | man -l - shows it
    Man {
        /// Which page
        #[arg(value_enum, default_value_t = ManualPage::Command)]
        page: ManualPage,
    },
    /// Copy the agent's library and this program into a folder
    ///
    /// For containers: an init container copies them into a volume that the JVM's container mounts,
    /// too. Prints the paths of both files.
    Install {
        /// An existing folder
        #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

/// A manual page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ManualPage {
    /// zaudit(1), this command
    Command,
    /// zaudit-options(7), the options of the agent
    Options,
}

/// `zaudit run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Options of the agent, as after -agentpath:PATH=, such as gc file=report-%p.json
    #[arg(value_name = "OPTION[=VALUE]")]
    pub(crate) options: Vec<String>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

/// Which JVM, and how long to wait for it.
#[derive(Debug, Args)]
pub(crate) struct Jvm {
    /// Process id of the JVM; zaudit ps lists the JVMs
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: i32,
    /// How long to wait for the JVM, with a unit: 500ms, 30s, 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

/// `zaudit attach`.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    #[command(flatten)]
    pub(crate) jvm: Jvm,
    /// Options of the agent, as after -agentpath:PATH=, such as gc file=report-%p.json
    #[arg(value_name = "OPTION[=VALUE]")]
    pub(crate) options: Vec<String>,
}

/// `zaudit dump` and `zaudit disarm`.
#[derive(Debug, Args)]
pub(crate) struct Dump {
    #[command(flatten)]
    pub(crate) jvm: Jvm,
    #[command(flatten)]
    pub(crate) outlet: Outlet,
    /// Force a GC first, so that unreachable instances are not reported as live
    #[arg(long)]
    pub(crate) gc: bool,
}

/// The format of a report, and where it goes.
#[derive(Debug, Args)]
pub(crate) struct Outlet {
    /// Format of the report [default: by the extension of the --output file, else text]
    #[arg(long, value_parser = format_parser())]
    format: Option<Format>,
    /// File for the report [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// The agent's own formats, by the same names.
fn format_parser() -> impl TypedValueParser<Value = Format> {
    let value = |format: Format| PossibleValue::new(format.name()).help(format.summary());
    PossibleValuesParser::new(Format::ALL.map(value)).try_map(|name| {
        // `auto` is not among the possible values.
        Format::parse(&name)?.ok_or_else(|| format!("{name} is not a format"))
    })
}

impl Outlet {
    /// The format to write.
    pub(crate) fn format(&self) -> Format {
        self.format.unwrap_or_else(|| self.output.as_deref().map_or(Format::Text, Format::of_file))
    }
}

impl Dump {
    /// The options for the agent.
    pub(crate) fn options(&self) -> Vec<String> {
        let mut options = vec![format!("format={}", self.outlet.format().name())];
        options.extend(self.gc.then(|| "gc".to_owned()));
        options
    }
}

/// `zaudit render`.
#[derive(Debug, Args)]
pub(crate) struct Render {
    /// A JSON report; - is standard input
    #[arg(value_name = "REPORT", value_hint = ValueHint::FilePath)]
    pub(crate) report: PathBuf,
    #[command(flatten)]
    pub(crate) outlet: Outlet,
}

/// `zaudit diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The older JSON report
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    pub(crate) old: PathBuf,
    /// The newer JSON report; - is standard input
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    pub(crate) new: PathBuf,
    /// Format of the comparison
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub(crate) format: DiffFormat,
}

/// The format of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// for people
    Text,
    /// for programs
    Json,
}

/// `zaudit merge`.
#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// JSON reports; - is standard input
    #[arg(required = true, value_name = "REPORT", value_hint = ValueHint::FilePath)]
    pub(crate) reports: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) outlet: Outlet,
}

/// `zaudit suppress`.
#[derive(Debug, Args)]
pub(crate) struct Suppress {
    /// A JSON report; - is standard input
    #[arg(value_name = "REPORT", required_unless_present = "built_in", value_hint = ValueHint::FilePath)]
    pub(crate) report: Option<PathBuf>,
    /// Print the built-in rules instead
    #[arg(long, conflicts_with = "report")]
    pub(crate) built_in: bool,
    /// File for the rules [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// `zaudit top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) jvm: Jvm,
    /// Time between two updates, with a unit: 500ms, 2s, 1m
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    pub(crate) interval: Duration,
    /// Print the table once and exit
    #[arg(long)]
    pub(crate) once: bool,
}

/// The error for an invalid command line, in one line. Clap's text goes on with the usage after an
/// empty line; `--help` shows it better.
pub(crate) fn usage_error(error: &clap::Error) -> CliError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CliError::new(
            Code::Usage,
            "a command is needed: run, attach, ps …",
            "see zaudit --help",
        );
    }
    let text = error.to_string();
    let message: Vec<&str> =
        text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let message = message.join(" ");
    let tip = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "))
        .unwrap_or("see zaudit --help");
    CliError::new(Code::Usage, message.strip_prefix("error: ").unwrap_or(&message), tip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn usage_errors_are_one_line() {
        for line in [
            "zaudit",
            "zaudit dmp 1",
            "zaudit dump",
            "zaudit dump 0",
            "zaudit dump -- -1",
            "zaudit dump x",
            "zaudit dump 99999999999",
            "zaudit dump 1 --format xml",
            "zaudit dump 1 --timeout 5",
            "zaudit run gc",
            "zaudit run java -version",
            "zaudit top 1 --interval 0s",
            "zaudit suppress",
            "zaudit suppress r.json --built-in",
            "zaudit render",
            "zaudit render a b",
            "zaudit merge --format json",
            "zaudit diff a",
            "zaudit diff a b --format html",
        ] {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            let message = usage_error(&error).to_string();
            assert!(!message.contains('\n') && message.len() > 20, "{line}: {message}");
        }
    }

    #[test]
    fn formats_by_word_and_by_file() {
        for (line, format) in [
            ("zaudit render r.json", Format::Text),
            ("zaudit render r.json --output r.html", Format::Html),
            ("zaudit render r.json --output r.pb.gz", Format::Pprof),
            ("zaudit render r.json --output r.txt --format prom", Format::Prom),
            ("zaudit merge a.json b.json --output c.json", Format::Json),
            ("zaudit dump 1 --output c.folded", Format::Collapsed),
        ] {
            let parsed = Arguments::try_parse_from(line.split(' ')).unwrap();
            let (Command::Render(Render { outlet, .. })
            | Command::Merge(Merge { outlet, .. })
            | Command::Dump(Dump { outlet, .. })) = parsed.command
            else {
                panic!("{line}")
            };
            assert_eq!(outlet.format(), format, "{line}");
        }
    }

    #[test]
    fn formats_are_the_agent_s() {
        let parse =
            |name: &str| Arguments::try_parse_from(["zaudit", "render", "r", "--format", name]);
        for format in Format::ALL {
            let Command::Render(render) = parse(format.name()).unwrap().command else { panic!() };
            assert_eq!(render.outlet.format(), format);
            let mut command = Arguments::command().term_width(0);
            let help =
                command.find_subcommand_mut("render").unwrap().render_long_help().to_string();
            assert!(
                help.contains(&format!("{}: ", format.name())) && help.contains(format.summary()),
                "{help}"
            );
        }
        for other in ["auto", "", "TEXT"] {
            assert!(parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn help_has_80_columns() {
        let mut command = Arguments::command();
        command.build();
        let mut texts = vec![command.render_help(), command.render_long_help()];
        for subcommand in command.get_subcommands_mut() {
            texts.extend([subcommand.render_help(), subcommand.render_long_help()]);
        }
        for text in texts.iter().map(ToString::to_string) {
            let wide = text.lines().find(|line| line.trim_end().chars().count() > 80);
            assert_eq!(wide, None, "in\n{text}");
        }
    }

    #[test]
    fn the_program_s_words_are_its_own() {
        let parsed = Arguments::try_parse_from([
            "zaudit", "run", "gc", "depth=5", "--", "java", "--help", "-x",
        ]);
        let Command::Run(run) = parsed.unwrap().command else { panic!() };
        assert_eq!(run.options, ["gc", "depth=5"]);
        assert_eq!(run.program, ["java", "--help", "-x"]);
    }
}
