//! The options and the commands: what the parser, `help`, the README and `docs/options.md` are made
//! of.
//!
//! A new option is a row here and a field of [`Options`]. Invariant: setting an option to its
//! default changes nothing.

use super::values::{duration, duration_or_none, exit_code, fail_on, number, signal, switch};
use super::{
    Arm, Choice, Command, FORMATS, Format, LEAST_GC_TIMEOUT, LEAST_INTERVAL, LEAST_MEMORY,
    MAX_DEPTH, Options, Walk,
};
use crate::files::Pattern;
use std::path::PathBuf;

/// One option.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Another name that is accepted; empty if there is none.
    pub(super) alias: &'static str,
    /// The form of its value; empty for a switch. `{formats}` stands for their names.
    pub(super) value: &'static str,
    pub(super) default: &'static str,
    pub(super) category: Category,
    /// Whether the README lists it.
    pub(super) in_readme: bool,
    /// What it does, in one line: for `help` and the README.
    pub(super) short: &'static str,
    /// What else there is to know: for `docs/options.md`. Empty if there is nothing. `{extensions}`
    /// stands for those of all formats.
    pub(super) long: &'static str,
    pub(super) set: fn(&mut Options, &str) -> Result<(), String>,
}

impl Row {
    /// The form of its value; empty for a switch.
    pub(super) fn value(&self) -> String {
        self.value.replace("{formats}", &Format::ALL.map(Format::name).join("|"))
    }

    /// What else there is to know; empty if there is nothing.
    pub(super) fn long(&self) -> String {
        let extensions = FORMATS.iter().filter_map(|spec| {
            let extension = spec.extensions.first()?;
            let named = extension.strip_prefix('.') == Some(spec.name);
            Some(if named {
                format!("`{extension}`")
            } else {
                format!("`{extension}` ({})", spec.name)
            })
        });
        self.long.replace("{extensions}", &extensions.collect::<Vec<_>>().join(", "))
    }
}

/// The groups in which options are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    Reports,
    Timing,
    Findings,
    Gate,
    Agent,
}

impl Category {
    pub(super) const ALL: [Category; 5] =
        [Category::Reports, Category::Timing, Category::Findings, Category::Gate, Category::Agent];

    pub(super) fn title(self) -> &'static str {
        match self {
            Category::Reports => "Reports",
            Category::Timing => "When to audit and to report",
            Category::Findings => "What a report contains",
            Category::Gate => "Expected instances, and failing a build",
            Category::Agent => "The agent itself",
        }
    }
}

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "file",
        alias: "",
        value: "PATH",
        default: "standard error",
        category: Category::Reports,
        in_readme: true,
        short: "where to write the report; the extension selects the format",
        long: "Placeholders: `%p` is the process id, `%t` the UTC time, `%h` the host name, `%n` the number of the report. Without `%n`, reports on demand get their number before the extension: `r.json`, `r.1.json`, `r.2.json`. May be given several times; each file gets a report.",
        set: |options, value| {
            options.files.push(Pattern::parse(value)?);
            Ok(())
        },
    },
    Row {
        name: "format",
        alias: "",
        value: "auto|{formats}",
        default: "auto",
        category: Category::Reports,
        in_readme: true,
        short: "the format of the report",
        long: "`auto` selects the format by the extension: {extensions}, and text for any other. See [formats.md](formats.md).",
        set: |options, value| {
            options.format = Format::parse(value)?;
            Ok(())
        },
    },
    Row {
        name: "quiet",
        alias: "",
        value: "",
        default: "off",
        category: Category::Reports,
        in_readme: true,
        short: "write nothing if there is nothing to report",
        long: "That is: no leak, no suspect, and nothing went unseen. On by default if the agent is loaded through `JAVA_TOOL_OPTIONS`.",
        set: |options, value| {
            options.quiet = Choice { value: switch(value)?, explicit: true };
            Ok(())
        },
    },
    Row {
        name: "gc",
        alias: "",
        value: "",
        default: "off",
        category: Category::Findings,
        in_readme: true,
        short: "force a GC before each report, so that unreachable instances are not reported as live",
        long: "Interval snapshots never force a GC.",
        set: |options, value| {
            options.gc = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "gc_timeout",
        alias: "",
        value: "TIME",
        default: "5s",
        category: Category::Findings,
        in_readme: false,
        short: "with gc: how long to wait for finalizers and Cleaners after the GC",
        long: "At least 100ms.",
        set: |options, value| {
            options.gc_timeout = duration(value)?;
            if options.gc_timeout < LEAST_GC_TIMEOUT {
                options.gc_timeout = Options::default().gc_timeout;
                return Err(format!("must be at least {LEAST_GC_TIMEOUT:?}"));
            }
            Ok(())
        },
    },
    Row {
        name: "interval",
        alias: "",
        value: "TIME",
        default: "none",
        category: Category::Timing,
        in_readme: true,
        short: "write a snapshot at this interval; needs a file",
        long: "The last snapshot survives whatever kills the process.",
        set: |options, value| match duration_or_none(value)? {
            Some(time) if time < LEAST_INTERVAL => {
                Err(format!("must be at least {LEAST_INTERVAL:?}"))
            }
            interval => {
                options.interval = interval;
                Ok(())
            }
        },
    },
    Row {
        name: "max_snapshots",
        alias: "",
        value: "N",
        default: "1",
        category: Category::Reports,
        in_readme: false,
        short: "how many interval snapshots to keep",
        long: "With 1, each snapshot replaces the one before. With more, snapshots are numbered and the oldest is deleted.",
        set: |options, value| match number(value)? {
            count @ 1..=100_000 => {
                options.max_snapshots = count as usize;
                Ok(())
            }
            _ => Err("must be a number from 1 to 100000".into()),
        },
    },
    Row {
        name: "arm",
        alias: "",
        value: "true|false|ready",
        default: "true",
        category: Category::Timing,
        in_readme: false,
        short: "whether to start auditing when the JVM starts",
        long: "With `false` the agent is loaded but takes nothing from the JVM until `delay` has passed or the command `arm` is sent. \
               `ready` takes JVMTI capabilities at once: on JDK 8 to 22, the JVM then keeps its compiled code when it is armed, \
               and on JDK 21 and later, virtual threads cost more from the start ([production.md](production.md#what-it-costs)).",
        set: |options, value| {
            options.arm = match value {
                "ready" => Arm::Ready,
                _ => match switch(value) {
                    Ok(true) => Arm::AtStart,
                    Ok(false) => Arm::Later,
                    Err(_) => return Err("must be true, false or ready".into()),
                },
            };
            Ok(())
        },
    },
    Row {
        name: "delay",
        alias: "",
        value: "TIME",
        default: "none",
        category: Category::Timing,
        in_readme: false,
        short: "start auditing this long after the JVM started",
        long: "",
        set: |options, value| {
            options.delay = duration_or_none(value)?;
            Ok(())
        },
    },
    Row {
        name: "duration",
        alias: "",
        value: "TIME",
        default: "none",
        category: Category::Timing,
        in_readme: true,
        short: "audit for this long, then write the report and disarm",
        long: "",
        set: |options, value| {
            options.duration = duration_or_none(value)?;
            Ok(())
        },
    },
    Row {
        name: "adopt",
        alias: "",
        value: "true|false",
        default: "true",
        category: Category::Timing,
        in_readme: false,
        short: "when auditing starts: also find the instances that are open already",
        long: "One walk over the heap, which pauses the application.",
        set: |options, value| {
            options.adopt = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "gc_roots",
        alias: "",
        value: "N",
        default: "0",
        category: Category::Findings,
        in_readme: true,
        short: "show paths to GC roots for up to N of the oldest live instances of each suspect site",
        long: "At most 100. Walks the heap before each report except interval snapshots, which pauses the application.",
        set: |options, value| match number(value)? {
            count @ 0..=100 => {
                options.gc_roots = count as usize;
                Ok(())
            }
            _ => Err("must be a number from 0 to 100".into()),
        },
    },
    Row {
        name: "gc_roots_timeout",
        alias: "",
        value: "TIME",
        default: "2s",
        category: Category::Findings,
        in_readme: false,
        short: "with gc_roots: how long the application may be paused for it in total",
        long: "",
        set: |options, value| {
            options.gc_roots_timeout = duration(value)?;
            Ok(())
        },
    },
    Row {
        name: "min_age",
        alias: "",
        value: "TIME",
        default: "0s",
        category: Category::Findings,
        in_readme: false,
        short: "live instances younger than this are not suspects",
        long: "",
        set: |options, value| {
            options.min_age = duration(value)?;
            Ok(())
        },
    },
    Row {
        name: "suppressions",
        alias: "",
        value: "FILE",
        default: "none",
        category: Category::Gate,
        in_readme: true,
        short: "a file with rules for instances that are expected",
        long: "One rule a line; see [suppressions.md](suppressions.md). May be given several times.",
        set: |options, value| {
            options.suppressions.push(PathBuf::from(value));
            Ok(())
        },
    },
    Row {
        name: "default_suppressions",
        alias: "",
        value: "true|false",
        default: "true",
        category: Category::Gate,
        in_readme: false,
        short: "whether to apply the built-in rules for caches of the JDK",
        long: "`zaudit suppress --built-in` lists them.",
        set: |options, value| {
            options.default_suppressions = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "baseline",
        alias: "",
        value: "FILE",
        default: "none",
        category: Category::Gate,
        in_readme: true,
        short: "an earlier JSON report: only what is new or has grown since is a leak or a suspect",
        long: "",
        set: |options, value| {
            options.baseline = (value != "none").then(|| PathBuf::from(value));
            Ok(())
        },
    },
    Row {
        name: "exit_code",
        alias: "exitcode",
        value: "CODE",
        default: "none",
        category: Category::Gate,
        in_readme: true,
        short: "exit code of the process if the final report has a leak, 1 to 255",
        long: "Instances that a rule covers or that the baseline has do not count; a rule that is over its maximum does. The exit code of the program wins if it is not 0.",
        set: |options, value| {
            options.exit_code = exit_code(value)?;
            Ok(())
        },
    },
    Row {
        name: "fail_on",
        alias: "",
        value: "live:N|bytes:SIZE",
        default: "leak",
        category: Category::Gate,
        in_readme: false,
        short: "with exit_code: also fail if this many suspects are live, or hold this much",
        long: "May be given several times.",
        set: |options, value| fail_on(&mut options.fail_on, value),
    },
    Row {
        name: "signal",
        alias: "",
        value: "NAME|none",
        default: "USR1",
        category: Category::Timing,
        in_readme: false,
        short: "the signal that requests a report",
        long: "Used only if nothing else handles it. SIGQUIT requests a report, too, and still prints the thread dump of the JVM.",
        set: |options, value| {
            options.signal = Choice { value: signal(value)?, explicit: true };
            Ok(())
        },
    },
    Row {
        name: "depth",
        alias: "",
        value: "FRAMES",
        default: "1024",
        category: Category::Findings,
        in_readme: false,
        short: "how many frames of each allocation stack to keep, 1 to 2048",
        long: "Deeper stacks are truncated at the outer end, and marked. Rules see only what is kept: \
               with few frames, a built-in rule may not recognise what the JDK does.",
        set: |options, value| {
            let frames = number(value)?;
            match usize::try_from(frames) {
                Ok(frames) if (1..=MAX_DEPTH).contains(&frames) => options.depth = frames,
                _ => return Err(format!("must be a number from 1 to {MAX_DEPTH}")),
            }
            Ok(())
        },
    },
    Row {
        name: "hooks",
        alias: "",
        value: "auto|tag",
        default: "auto",
        category: Category::Agent,
        in_readme: false,
        short: "how the agent follows an instance: by the address of its native memory, or by a JVMTI tag",
        long: "With `auto` the hooks are beside the calls of the JDK's own native methods, which is cheaper and sees what a constructor leaks that throws; where the JDK's classes have another shape, or with `tag`, they are at the constructors and at `end()`.",
        set: |options, value| {
            options.by_tag = match value {
                "auto" => false,
                "tag" => true,
                _ => return Err("must be auto or tag".into()),
            };
            Ok(())
        },
    },
    Row {
        name: "walk",
        alias: "",
        value: "auto|off",
        default: "auto",
        category: Category::Agent,
        in_readme: false,
        short: "whether the agent may walk stacks by itself, which is faster than JVMTI",
        long: "With `auto` it does so where the frames are those of a JDK that it knows (8 to 28 on x86-64; none on arm64), also for virtual threads that have blocked (JDK 21 to 28), and asks JVMTI for the rest and for every stack that is new. A part of the stacks is compared. If one differs, the report says so under `HEALTH`, and the agent walks no more. With `off`, all stacks come from JVMTI.",
        set: |options, value| {
            options.walk = match value {
                "auto" => Walk::Auto,
                "off" => Walk::Off,
                "frozen" => Walk::Frozen,
                "check" => Walk::Check,
                _ => return Err("must be auto or off".into()),
            };
            Ok(())
        },
    },
    Row {
        name: "memory",
        alias: "",
        value: "SIZE",
        default: "64m",
        category: Category::Agent,
        in_readme: false,
        short: "the most memory for stacks, in bytes",
        long: "With `k`, `m` or `g` for powers of 1,024; `1m` at least. It bounds what grows with the number of different stacks: the stacks themselves, and what leads to them quickly. A program with fewer stacks takes less. When it is used up, all further stacks share one site, and `HEALTH` says how many there were; their instances are counted all the same. Open instances take up to 43 bytes each beside it.",
        set: |options, value| {
            let bytes = usize::try_from(number(value)?).unwrap_or(usize::MAX);
            if bytes < LEAST_MEMORY {
                return Err("must be at least 1m".into());
            }
            options.memory = bytes;
            Ok(())
        },
    },
    Row {
        name: "reply_file",
        alias: "",
        value: "PATH",
        default: "standard error",
        category: Category::Agent,
        in_readme: false,
        short: "with a command: the file to write the reply to",
        long: "",
        set: |options, value| {
            options.reply_file = Some(PathBuf::from(value));
            Ok(())
        },
    },
    Row {
        name: "strict",
        alias: "",
        value: "",
        default: "off",
        category: Category::Agent,
        in_readme: false,
        short: "refuse to start the JVM if an option is wrong",
        long: "Without it, a wrong option is ignored, with a message on standard error.",
        set: |options, value| {
            options.strict = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "help",
        alias: "",
        value: "",
        default: "off",
        category: Category::Agent,
        in_readme: false,
        short: "print the options on standard error, and continue",
        long: "",
        set: |options, value| {
            options.help = switch(value)?;
            Ok(())
        },
    },
];

/// A command.
pub(super) struct CommandRow {
    pub(super) name: &'static str,
    pub(super) command: Command,
    /// What it does, in one line.
    pub(super) short: &'static str,
}

/// The commands.
pub(super) const COMMANDS: &[CommandRow] = &[
    CommandRow {
        name: "arm",
        command: Command::Arm,
        short: "start auditing with these options; an attach without a command does this",
    },
    CommandRow {
        name: "dump",
        command: Command::Dump,
        short: "write a report now; file, format and gc apply to this report only",
    },
    CommandRow { name: "status", command: Command::Status, short: "show the state of the agent" },
    CommandRow {
        name: "reset",
        command: Command::Reset,
        short: "start counting anew; instances that are live now are adopted",
    },
    CommandRow {
        name: "disarm",
        command: Command::Disarm,
        short: "write the final report, then restore the original bytecode and discard all data",
    },
    CommandRow { name: "help", command: Command::Help, short: "list the options and the commands" },
];
