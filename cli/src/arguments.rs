//! The command line: every subcommand, option and word of help.
//!
//! Owns the syntax; what a command does is done elsewhere. Completions and the manual page are made from it. Invariant: a
//! command line that cannot be understood is one line on standard error.

use crate::duration;
use crate::error::{CliError, Code};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zaudit_core::options as report;

/// Finds out which code of a Java program leaks native memory through java.util.zip Inflaters and Deflaters
///
/// The work is done by an agent inside the JVM, libzaudit.so. This command starts programs under it, attaches it to JVMs
/// that run already, and asks it.
#[derive(Debug, Parser)]
#[command(name = "zaudit", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The agent's library, by the path that the JVM has for it [default: libzaudit.so beside this program, or in ../lib]
    ///
    /// A JVM in a container has a file system of its own: copy the library in, cp libzaudit.so /proc/PID/root/tmp/, and name
    /// it as the JVM sees it, --library /tmp/libzaudit.so. A JVM that has the library loaded is asked through that one.
    #[arg(long, global = true, value_name = "PATH", env = "ZAUDIT_LIBRARY", hide_env_values = true, value_hint = ValueHint::FilePath, value_parser = clap::value_parser!(OsString))]
    library: Option<OsString>,

    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// The library that was named; an empty variable names none.
    pub(crate) fn library(&self) -> Option<&Path> {
        self.library.as_deref().filter(|name| !name.is_empty()).map(Path::new)
    }
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the agent said no or another failure, 2 wrong usage or a file that is no report, 3 no such process, 4 not a 64-bit HotSpot JVM,
5 not permitted, 6 the JVM takes no commands or no agents, 7 the JVM cannot see or load the library, 8 no answer in time,
130 interrupted. Of zaudit run: the program's own. Of zaudit diff: 1 something is new or has grown, 2 it could not be told.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a Java program under the agent: zaudit run [OPTION[=VALUE]…] -- java …
    ///
    /// zaudit becomes the program: exit code, signals and streams are its own. Where the program is not called java (mvn,
    /// gradle, a start script) the agent comes to all JVMs that it starts, through JAVA_TOOL_OPTIONS, which each of them
    /// tells on its standard error; let file names have %p in them then.
    Run(Run),
    /// Begin to audit a JVM that runs
    ///
    /// What exists already is audited, too, without stacks (adopted). From JDK 21 on the JVM prints a warning about agents
    /// that are loaded while it runs on its own standard error; -XX:+EnableDynamicAgentLoading at its start silences it.
    /// Paths in the options are the JVM's: relative to its current folder, and read and written as its user.
    Attach(Attach),
    /// Have a report now
    Dump(Dump),
    /// Ask how it stands
    Status(Jvm),
    /// Begin anew: counts start from now, what is live becomes adopted
    Reset(Jvm),
    /// Have the last report and end the audit; the JVM goes on as if there had been no agent
    Disarm(Dump),
    /// List the JVMs of this machine and how it stands with each
    Ps,
    /// Watch the worst places in a table that renews itself; ctrl-C ends it
    Top(Top),
    /// Write a JSON report in another format: the very bytes that the agent would have written
    Render(Render),
    /// Compare two JSON reports: which sites are new, gone, grown, shrunk
    ///
    /// A site is a kind and a whole stack, lines included. Compared are certain leaks and suspects, which is what no rule covers; what was
    /// open before the audit has no site and is left out. Counts grow with time: the lengths of both runs are told.
    Diff(Diff),
    /// Sum up the JSON reports of several JVMs, or of several runs, in one
    ///
    /// Sites of the same kind and stack become one. Trends are left out. Of one run give one report: what two of them share would be
    /// counted twice.
    Merge(Merge),
    /// Write rules (option suppressions) for what a JSON report found
    ///
    /// A rule a place, which covers as many as there were and no more: the same run passes then, and one that finds more does not.
    Suppress(Suppress),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page: zaudit man | man -l -
    Man,
}

/// `zaudit run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Options of the agent, as behind the = of -agentpath: gc format=json file=report-%p.json
    #[arg(value_name = "OPTION[=VALUE]")]
    pub(crate) options: Vec<String>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

/// Which JVM, and how long to wait for it.
#[derive(Debug, Args)]
pub(crate) struct Jvm {
    /// Process id of the JVM; zaudit ps lists them
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: i32,
    /// How long to wait for the JVM
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

/// `zaudit attach`.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    #[command(flatten)]
    pub(crate) jvm: Jvm,
    /// Options of the agent, as behind the = of -agentpath: gc format=json file=report-%p.json
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
    /// Have a collection first, so that garbage is not called live
    #[arg(long)]
    pub(crate) gc: bool,
}

/// How a report is written, and where to.
#[derive(Debug, Args)]
pub(crate) struct Outlet {
    /// How the report is written [default: by the ending of --output, else text]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where the report goes [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// A report's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For people with a browser: one page that needs nothing else
    Html,
    /// For go tool pprof and what reads its files
    Pprof,
    /// One line a stack, for flame graph programs
    Collapsed,
    /// For Prometheus
    Prom,
}

impl Format {
    fn of_report(self) -> report::Format {
        match self {
            Format::Text => report::Format::Text,
            Format::Json => report::Format::Json,
            Format::Html => report::Format::Html,
            Format::Pprof => report::Format::Pprof,
            Format::Collapsed => report::Format::Collapsed,
            Format::Prom => report::Format::Prom,
        }
    }
}

impl Outlet {
    /// What is to be written.
    pub(crate) fn format(&self) -> report::Format {
        let by_name = || self.output.as_deref().map_or(report::Format::Text, report::Format::of_file);
        self.format.map_or_else(by_name, Format::of_report)
    }
}

impl Dump {
    /// What the agent is told of it.
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
    /// The JSON report of before
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    pub(crate) old: PathBuf,
    /// The JSON report of now; - is standard input
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    pub(crate) new: PathBuf,
    /// How the difference is written
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub(crate) format: DiffFormat,
}

/// A difference's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people
    Text,
    /// For programs
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
    /// Print the rules that are built in
    #[arg(long, conflicts_with = "report")]
    pub(crate) built_in: bool,
    /// Where the rules go [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// `zaudit top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) jvm: Jvm,
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    pub(crate) interval: Duration,
    /// Print the table once
    #[arg(long)]
    pub(crate) once: bool,
}

/// A line that could not be understood, as one line. What clap says behind a blank line is the usage, which `--help`
/// says better.
pub(crate) fn misunderstood(error: &clap::Error) -> CliError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CliError::new(Code::Usage, "a command is needed: run, attach, ps …", "see zaudit --help");
    }
    let text = error.to_string();
    let said: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let said = said.join(" ");
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: ")).unwrap_or("see zaudit --help");
    CliError::new(Code::Usage, said.strip_prefix("error: ").unwrap_or(&said), tip)
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
    fn misunderstandings_are_one_line() {
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
            let said = misunderstood(&error).to_string();
            assert!(!said.contains('\n') && said.len() > 20, "{line}: {said}");
        }
    }

    #[test]
    fn formats_by_word_and_by_file() {
        for (line, format) in [
            ("zaudit render r.json", report::Format::Text),
            ("zaudit render r.json --output r.html", report::Format::Html),
            ("zaudit render r.json --output r.pb.gz", report::Format::Pprof),
            ("zaudit render r.json --output r.txt --format prom", report::Format::Prom),
            ("zaudit merge a.json b.json --output c.json", report::Format::Json),
            ("zaudit dump 1 --output c.folded", report::Format::Collapsed),
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
        // The same words as the agent's own.
        let words = Format::value_variants().iter().map(|format| {
            let word = format.to_possible_value().unwrap().get_name().to_owned();
            (report::Format::parse(&word).unwrap(), Some(format.of_report()))
        });
        assert!(words.clone().count() == report::Format::ALL.len() && words.clone().all(|(a, b)| a == b));
    }

    #[test]
    fn the_program_s_words_are_its_own() {
        let parsed =
            Arguments::try_parse_from(["zaudit", "run", "gc", "depth=5", "--", "java", "--help", "-x"]);
        let Command::Run(run) = parsed.unwrap().command else { panic!() };
        assert_eq!(run.options, ["gc", "depth=5"]);
        assert_eq!(run.program, ["java", "--help", "-x"]);
    }
}
