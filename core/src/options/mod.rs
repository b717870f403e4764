//! The options and commands: tables that make the parser, `help`, and the README's sections.
//!
//! Owns syntax and defaults; other modules implement the options. Reads `@FILE` through a function
//! that it is given. Invariant: parsing never fails as a whole: each error is one line, and the
//! rest applies.

mod format;
mod table;
mod values;

use crate::escape;
use crate::files::Pattern;
use std::path::PathBuf;
use std::time::Duration;
use table::{COMMANDS, Category, Row, TABLE};

pub use format::{FORMATS, Format, FormatSpec};
pub use values::{Signal, duration};

/// The options of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Files that the report is written to; standard error if there is none.
    pub files: Vec<Pattern>,
    /// The format of the report; none if the file's name decides.
    pub format: Option<Format>,
    /// The signal that requests a report, and whether the user gave it.
    pub signal: Choice<Option<Signal>>,
    /// Whether to force a GC before each report.
    pub gc: bool,
    /// How long a report with `gc` waits for finalizers and Cleaners.
    pub gc_timeout: Duration,
    /// Whether to write nothing if there is nothing to report, and whether the user gave it.
    pub quiet: Choice<bool>,
    /// Time between two snapshots; none without snapshots.
    pub interval: Option<Duration>,
    /// How many snapshots are kept.
    pub max_snapshots: usize,
    /// Whether to audit from the start.
    pub arm: Arm,
    /// Time between the start of the JVM and that of the audit.
    pub delay: Option<Duration>,
    /// Time after which the audit ends; none if it lasts until the JVM exits.
    pub duration: Option<Duration>,
    /// Whether to search the heap for open instances when the audit begins.
    pub adopt: bool,
    /// Live instances of each suspect site whose paths to GC roots are searched.
    pub gc_roots: usize,
    /// Longest pause of the application for that search, per report.
    pub gc_roots_timeout: Duration,
    /// Age below which a live instance is not a suspect.
    pub min_age: Duration,
    /// Files with rules.
    pub suppressions: Vec<PathBuf>,
    /// Whether the built-in rules apply.
    pub default_suppressions: bool,
    /// An earlier report: only what is new or has grown since is a leak or a suspect.
    pub baseline: Option<PathBuf>,
    /// Exit code of the process if the last report has leaks.
    pub exit_code: Option<u8>,
    /// What is a failure besides certain leaks.
    pub fail_on: FailOn,
    /// Frames that are kept of each stack.
    pub depth: usize,
    /// The most memory for stacks, in bytes.
    pub memory: usize,
    /// How stacks are captured.
    pub walk: Walk,
    /// `hooks`: follow instances by JVMTI tags, even where their addresses would do.
    pub by_tag: bool,
    /// File for the reply to a command; standard error if there is none.
    pub reply_file: Option<PathBuf>,
    /// Whether the JVM refuses to start if an option is wrong.
    pub strict: bool,
    /// Whether to print the options.
    pub help: bool,
    /// The items behind all of the above, as they were written. Files of options are expanded;
    /// items that were wrong are left out.
    pub given: Vec<String>,
}

/// The number of suspects, or their bytes, from which on they are a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailOn {
    /// This many or more live suspects.
    pub live: Option<u64>,
    /// Live suspects that hold this much or more.
    pub bytes: Option<u64>,
}

/// A command to the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// Start an audit.
    #[default]
    Arm,
    /// Write a report.
    Dump,
    /// Show the state of the agent.
    Status,
    /// Start counting anew.
    Reset,
    /// End the audit and restore the original bytecode.
    Disarm,
    /// List options and commands.
    Help,
}

/// How stacks are captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Walk {
    /// By the agent's own walk where it is exact, else from JVMTI's GetStackTrace.
    #[default]
    Auto,
    /// From GetStackTrace only.
    Off,
    /// As `Auto`, which includes frozen frames: for tests, in no help.
    Frozen,
    /// From both, and compared: for tests, in no help.
    Check,
}

impl Walk {
    /// Whether the walk continues with the frozen frames of virtual threads.
    pub fn has_frozen(self) -> bool {
        self != Walk::Off
    }
}

/// A value, and whether the user gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<T> {
    /// The value.
    pub value: T,
    /// Whether the user gave it.
    pub explicit: bool,
}

/// The largest `depth`: a frame takes 16 bytes on the stack of the thread that calls the
/// constructor, well within what HotSpot reserves for native methods (`StackShadowPages`).
pub const MAX_DEPTH: usize = 2_048;

/// A shorter wait cannot succeed: it must see finalizers and Cleaners idle for a while, more than
/// once.
const LEAST_GC_TIMEOUT: Duration = Duration::from_millis(100);

/// With less there is hardly room for the stacks of a small program.
const LEAST_MEMORY: usize = 1 << 20;

/// Faster snapshots would mostly write reports.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// What the agent does when the JVM starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arm {
    /// It begins to audit.
    #[default]
    AtStart,
    /// It takes what a later audit needs from the JVM, so that compiled code stays valid then.
    Ready,
    /// Nothing.
    Later,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            files: Vec::new(),
            format: None,
            signal: Choice { value: Some(values::DEFAULT_SIGNAL), explicit: false },
            gc: false,
            gc_timeout: Duration::from_secs(5),
            quiet: Choice { value: false, explicit: false },
            interval: None,
            max_snapshots: 1,
            arm: Arm::AtStart,
            delay: None,
            duration: None,
            adopt: true,
            gc_roots: 0,
            gc_roots_timeout: Duration::from_secs(2),
            min_age: Duration::ZERO,
            suppressions: Vec::new(),
            default_suppressions: true,
            baseline: None,
            exit_code: None,
            fail_on: FailOn::default(),
            depth: 1_024,
            memory: 64 << 20,
            walk: Walk::Auto,
            by_tag: false,
            reply_file: None,
            strict: false,
            help: false,
            given: Vec::new(),
        }
    }
}

impl Options {
    /// What was given, as one string that gives the same options again.
    pub fn as_given(&self) -> String {
        self.given.iter().map(|item| item.replace(',', r"\,")).collect::<Vec<_>>().join(",")
    }
}

/// The result of parsing a string of options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Defaults, changed by the options that were right.
    pub options: Options,
    /// One line for each option that was wrong.
    pub complaints: Vec<String>,
    /// The option that was read last: an item after `fail_on=live:N,` may be another value of it.
    last: &'static str,
}

impl Parsed {
    /// Starts from these options instead of the defaults.
    pub fn on_top_of(options: Options) -> Parsed {
        Parsed { options, ..Parsed::default() }
    }

    /// Reads `[COMMAND,]key[=value],…`; without a command it is [`Command::Arm`].
    pub fn read_command(
        &mut self,
        text: &str,
        read: &dyn Fn(&str) -> Result<String, String>,
    ) -> Command {
        let (command, options) = command(text);
        self.read(options, read);
        command
    }

    /// Reads `key[=value],…`; the last value of an option wins. Files given here replace those
    /// given in earlier calls. `read` returns the text of an `@FILE`.
    pub fn read(&mut self, text: &str, read: &dyn Fn(&str) -> Result<String, String>) {
        let before = std::mem::take(&mut self.options.files);
        let given_before = self.options.given.len();
        for item in split(text) {
            match item.strip_prefix('@') {
                None => self.item(&item),
                Some(path) => match read(path) {
                    Ok(text) => text
                        .lines()
                        .filter(|line| !line.trim_start().starts_with('#'))
                        .for_each(|line| split(line).iter().for_each(|item| self.item(item))),
                    Err(why) => self
                        .complaints
                        .push(format!("cannot read options from {}: {why}", escape::text(path))),
                },
            }
        }
        if self.options.files.is_empty() {
            self.options.files = before;
        } else {
            let mut at = 0..;
            self.options
                .given
                .retain(|item| at.next() >= Some(given_before) || !item.starts_with("file="));
        }
    }

    fn item(&mut self, item: &str) {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        if name.is_empty() {
            self.complaints.push(format!("bad option {item:?}: the name before the = is missing"));
            return;
        }
        if item == name && name.contains(':') && self.last == "fail_on" {
            return self.item(&format!("fail_on={name}"));
        }
        let Some(row) = TABLE.iter().find(|row| row.name == name || row.alias == name) else {
            self.complaints.push(match nearest(name) {
                Some(nearest) => format!("unknown option {name:?}; did you mean {nearest:?}?"),
                None => format!("unknown option {name:?}; the option \"help\" lists all"),
            });
            return;
        };
        self.last = row.name;
        let result = if value.is_empty() && !row.value.is_empty() {
            Err(format!("it needs a value: {name}={}", row.value()))
        } else {
            (row.set)(&mut self.options, value)
        };
        match result {
            // The reply file belongs to a command, not to the audit.
            Ok(()) if row.name == "reply_file" => {}
            Ok(()) => self.options.given.push(item.into()),
            Err(why) => self.complaints.push(format!("bad option {item:?}: {why}")),
        }
    }
}

/// The command of `[COMMAND,]key[=value],…`, and the options; without a command it is
/// [`Command::Arm`].
pub fn command(text: &str) -> (Command, &str) {
    let (first, rest) = text.split_once(',').unwrap_or((text, ""));
    match COMMANDS.iter().find(|row| row.name == first.trim()) {
        Some(row) => (row.command, rest),
        None => (Command::default(), text),
    }
}

/// Splits at commas; `\,` is a comma of the value. Trims items, and drops empty ones.
fn split(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ',' => items.push(String::new()),
            '\\' if rest.peek() == Some(&',') => {
                rest.next();
                items.last_mut().into_iter().for_each(|item| item.push(','));
            }
            c => items.last_mut().into_iter().for_each(|item| item.push(c)),
        }
    }
    items.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// The most similar name: at most two edits away, fewer than half of its letters, or one that
/// begins with this.
fn nearest(name: &str) -> Option<&'static str> {
    let names = || TABLE.iter().map(|row| row.name).chain(COMMANDS.iter().map(|row| row.name));
    let edits = names().map(|known| (distance(name, known), known));
    let close = edits.filter(|(edits, _)| *edits <= 2 && edits * 2 < name.len()).min();
    let begun = || names().find(|known| name.len() >= 2 && known.starts_with(name));
    close.map(|(_, known)| known).or_else(begun)
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (cell, to) in row.iter_mut().zip(std::iter::once(None).chain(b.chars().map(Some))) {
            let value = match to {
                None => i + 1,
                Some(to) => (*cell + 1).min(left + 1).min(diagonal + usize::from(from != to)),
            };
            diagonal = std::mem::replace(cell, value);
            left = value;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The tables as `help` prints them, at most 100 columns wide.
pub fn help() -> String {
    let mut text = String::from(
        "usage: java -agentpath:/path/to/libzaudit.so=OPTION[=VALUE],...\n\
         \n\
         A comma in a value is written as \\,. @FILE reads options from a file. The environment variable\n\
         ZAUDIT_OPTIONS is read first. If an option is given twice, the last value wins.\n",
    );
    for category in Category::ALL {
        text.push_str(&format!("\n{}:\n", category.title()));
        for row in TABLE.iter().filter(|row| row.category == category) {
            let equals = if row.value.is_empty() { "" } else { "=" };
            text.push_str(&format!("  {}{equals}{}\n", row.name, row.value()));
            text.push_str(&format!("      {} [{}]\n", row.short, row.default));
        }
    }
    text.push_str(
        "\nCommands, while the JVM runs: zaudit COMMAND PID [OPTION...], or from JDK 9 on\n\
         jcmd PID JVMTI.agent_load /path/to/libzaudit.so '\"COMMAND[,OPTION...]\"' (with both pairs of quotes):\n",
    );
    for row in COMMANDS {
        text.push_str(&format!("  {:<7} {}\n", row.name, row.short));
    }
    text
}

/// The options that the README lists.
pub fn readme_table() -> String {
    let mut text = String::from("| option | default | meaning |\n| --- | --- | --- |\n");
    for row in TABLE.iter().filter(|row| row.in_readme) {
        text.push_str(&format!("| `{}` | {} | {} |\n", in_markdown(row), row.default, row.short));
    }
    text
}

/// All options, as `docs/options.md` lists them.
pub fn markdown() -> String {
    let mut text = String::new();
    for category in Category::ALL {
        text.push_str(&format!("\n## {}\n", category.title()));
        for row in TABLE.iter().filter(|row| row.category == category) {
            let (short, long) = (row.short, row.long());
            text.push_str(&format!("\n### `{}`\n", in_markdown(row).replace("\\|", "|")));
            text.push_str(&wrapped(&format!("{}. {long}", capital(short))));
            let alias = if row.alias.is_empty() {
                String::new()
            } else {
                format!(" Alias: `{}`.", row.alias)
            };
            text.push_str(&format!("Default: {}.{alias}\n", row.default));
        }
    }
    text
}

/// The commands, as `docs/options.md` lists them.
pub fn commands_markdown() -> String {
    let mut text = String::from("| command | meaning |\n| --- | --- |\n");
    for row in COMMANDS {
        text.push_str(&format!("| `{}` | {} |\n", row.name, row.short));
    }
    text
}

/// `name=VALUE`, with what separates cells escaped.
fn in_markdown(row: &Row) -> String {
    let equals = if row.value.is_empty() { "" } else { "=" };
    format!("{}{equals}{}", row.name, row.value().replace('|', "\\|"))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A paragraph of lines of at most 100 columns.
fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 100 {
            lines.push_str(&line);
            lines.push('\n');
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests;
