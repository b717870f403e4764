//! The options and commands: tables that make the parser, `help`, and the README's sections.
//!
//! Owns syntax and defaults; what an option does is done elsewhere. Reads `@FILE` through a function it is
//! given. Invariant: parsing never fails as a whole: what is wrong becomes one line each, and the rest holds.

mod format;
mod table;
mod values;

use crate::escape;
use crate::files::Pattern;
use std::path::PathBuf;
use std::time::Duration;
use table::{COMMANDS, Category, Row, TABLE};

pub use format::Format;
pub use values::{Signal, duration};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the report goes: each of these gets one; standard error when there is none.
    pub files: Vec<Pattern>,
    /// How it is written; where nothing is said the file's name decides.
    pub format: Option<Format>,
    /// Which signal asks for a report, and whether the user named it.
    pub signal: Choice<Option<Signal>>,
    /// Force a collection before each report.
    pub gc: bool,
    /// How long a report with `gc` waits for finalizers and Cleaners.
    pub gc_timeout: Duration,
    /// Nothing is said when there is nothing to tell, and whether the user decided that.
    pub quiet: Choice<bool>,
    /// How often a snapshot is written.
    pub interval: Option<Duration>,
    /// How many snapshots are kept.
    pub max_snapshots: usize,
    /// Whether to audit from the start.
    pub arm: bool,
    /// How long after the start auditing begins.
    pub delay: Option<Duration>,
    /// How long auditing lasts.
    pub duration: Option<Duration>,
    /// Look for open streams in the heap while arming.
    pub adopt: bool,
    /// Of how many live instances a site a report says who keeps them.
    pub gc_roots: usize,
    /// How long the program may stand still for that.
    pub gc_roots_timeout: Duration,
    /// Live instances are no suspects before this age.
    pub min_age: Duration,
    /// Files with rules.
    pub suppressions: Vec<PathBuf>,
    /// Whether the built-in rules are asked.
    pub default_suppressions: bool,
    /// An older report: only what is beyond it is news.
    pub baseline: Option<PathBuf>,
    /// What the process ends with when there are leaks.
    pub exit_code: Option<u8>,
    /// What `exit_code` takes for a failure beside certain leaks.
    pub fail_on: FailOn,
    /// Frames kept of each stack.
    pub depth: usize,
    /// Where a command's answer goes; standard error when there is none.
    pub reply_file: Option<PathBuf>,
    /// Whether a bad option keeps the JVM from starting.
    pub strict: bool,
    /// Print the table.
    pub help: bool,
    /// The items behind all of the above, as they were written; files of options are opened, and what was not understood
    /// is not in it.
    pub given: Vec<String>,
}

/// Suspects that are a failure: so many, or so many bytes held by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailOn {
    /// This many or more live suspects.
    pub live: Option<u64>,
    /// Live suspects that hold this much or more.
    pub bytes: Option<u64>,
}

/// What an attach asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// Begin to audit.
    #[default]
    Arm,
    /// A report.
    Dump,
    /// A few lines about the agent itself.
    Status,
    /// Count from now on.
    Reset,
    /// Stop auditing and leave no trace.
    Disarm,
    /// The tables.
    Help,
}

/// A value, and whether it was the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<T> {
    /// The value.
    pub value: T,
    /// Whether the user gave it.
    pub explicit: bool,
}

/// The most frames that may be asked for: 16 bytes each on the stack of the thread that calls the constructor,
/// well within what HotSpot keeps free for native methods (`StackShadowPages`).
pub const MAX_DEPTH: usize = 2_048;

/// Below this no wait could succeed: it must see finalizers and Cleaners at rest for a while, more than once.
const LEAST_GC_TIMEOUT: Duration = Duration::from_millis(100);

/// Faster snapshots would do little else than write.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

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
            arm: true,
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

/// What came of an options string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Defaults, with all that was understood.
    pub options: Options,
    /// One line for each thing that was not.
    pub complaints: Vec<String>,
    /// The option that was read last: what follows `fail_on=live:N,` may be another value of it.
    last: &'static str,
}

impl Parsed {
    /// Starts from what held before.
    pub fn on_top_of(options: Options) -> Parsed {
        Parsed { options, ..Parsed::default() }
    }

    /// Reads `[COMMAND,]key[=value],…`; without a command it is [`Command::Arm`].
    pub fn read_command(&mut self, text: &str, read: &dyn Fn(&str) -> Result<String, String>) -> Command {
        let (command, options) = command(text);
        self.read(options, read);
        command
    }

    /// Reads `key[=value],…` on top of what is there; the last of two values for one option holds. Files that are named here
    /// take the place of all that were named before.
    /// `read` gives the text of an `@FILE`.
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
            self.options.given.retain(|item| at.next() >= Some(given_before) || !item.starts_with("file="));
        }
    }

    fn item(&mut self, item: &str) {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        if name.is_empty() {
            self.complaints.push(format!("bad option {item:?}: a name is needed before the ="));
            return;
        }
        if item == name && name.contains(':') && self.last == "fail_on" {
            return self.item(&format!("fail_on={name}"));
        }
        let Some(row) = TABLE.iter().find(|row| row.name == name || row.alias == name) else {
            self.complaints.push(match nearest(name) {
                Some(nearest) => format!("unknown option {name:?}; did you mean {nearest:?}?"),
                None => format!("unknown option {name:?}; the option help lists all"),
            });
            return;
        };
        self.last = row.name;
        let result = if value.is_empty() && !row.value.is_empty() {
            Err(format!("a value is needed: {name}={}", row.value))
        } else {
            (row.set)(&mut self.options, value)
        };
        match result {
            // Where a command's answer goes is no matter of the audit.
            Ok(()) if row.name == "reply_file" => {}
            Ok(()) => self.options.given.push(item.into()),
            Err(why) => self.complaints.push(format!("bad option {item:?}: {why}")),
        }
    }
}

/// The command of `[COMMAND,]key[=value],…`, and the options; without a command it is [`Command::Arm`].
pub fn command(text: &str) -> (Command, &str) {
    let (first, rest) = text.split_once(',').unwrap_or((text, ""));
    match COMMANDS.iter().find(|row| row.name == first.trim()) {
        Some(row) => (row.command, rest),
        None => (Command::default(), text),
    }
}

/// Splits at commas; `\,` is a comma of the value. Blanks around an item and empty items are nothing.
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

/// The name that was probably meant: at most two slips away, or the rest of a beginning.
fn nearest(name: &str) -> Option<&'static str> {
    let names = || TABLE.iter().map(|row| row.name).chain(COMMANDS.iter().map(|row| row.name));
    let close = names().map(|known| (distance(name, known), known)).filter(|(slips, _)| *slips <= 2).min();
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
            text.push_str(&format!("  {}{equals}{}\n", row.name, row.value));
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
            let (short, long) = (row.short, row.long);
            text.push_str(&format!("\n### `{}`\n", in_markdown(row).replace("\\|", "|")));
            text.push_str(&wrapped(&format!("{}. {long}", capital(short))));
            let alias =
                if row.alias.is_empty() { String::new() } else { format!(" Alias: `{}`.", row.alias) };
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
    format!("{}{equals}{}", row.name, row.value.replace('|', "\\|"))
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
