//! The table of options and the table of commands: names, defaults, what they do, in the words of `help` and the README.
//!
//! A new option is a row here and a field of [`Options`]. Invariant: setting an option to what its default column
//! says changes nothing.

use super::values::{duration, duration_or_none, exit_code, fail_on, number, signal, switch};
use super::{Choice, Command, Format, LEAST_GC_WAIT, LEAST_INTERVAL, MAX_DEPTH, Options};
use crate::files::Pattern;
use std::path::PathBuf;

/// One row of the table.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What stands behind `=`; empty for a switch.
    pub(super) value: &'static str,
    pub(super) default: &'static str,
    pub(super) help: &'static str,
    pub(super) set: fn(&mut Options, &str) -> Result<(), String>,
}

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "file",
        value: "PATH",
        default: "standard error",
        help: "where the report goes; %p is the process id, %t the UTC time, %h the host, %n the report's number; without %n reports on demand get it before the extension: r.json, r.1.json, r.2.json; may be given several times",
        set: |options, value| {
            options.files.push(Pattern::parse(value)?);
            Ok(())
        },
    },
    Row {
        name: "format",
        value: "auto|text|html|json|pprof|collapsed|prom",
        default: "auto",
        help: "auto goes by the file's extension; text is for people, html for people with a browser (.html), json for programs (.json), pprof for go tool pprof (.pb.gz), collapsed for flame graph programs (.collapsed), prom for Prometheus (.prom)",
        set: |options, value| {
            options.format = Format::parse(value)?;
            Ok(())
        },
    },
    Row {
        name: "quiet",
        value: "",
        default: "off",
        help: "say and write nothing when there is nothing to tell: no leak, no suspect, all seen; on by itself where the agent comes by JAVA_TOOL_OPTIONS",
        set: |options, value| {
            options.quiet = Choice { value: switch(value)?, explicit: true };
            Ok(())
        },
    },
    Row {
        name: "gc",
        value: "",
        default: "off",
        help: "force a collection before each report but the snapshots of interval, so that garbage is not called live",
        set: |options, value| {
            options.gc = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "gc_wait",
        value: "TIME",
        default: "5s",
        help: "with gc: how long a report waits at most for finalizers and Cleaners to do what the collection left to them",
        set: |options, value| {
            options.gc_wait = duration(value)?;
            if options.gc_wait < LEAST_GC_WAIT {
                options.gc_wait = Options::default().gc_wait;
                return Err(format!("at least {LEAST_GC_WAIT:?} is needed to see that nothing happens"));
            }
            Ok(())
        },
    },
    Row {
        name: "interval",
        value: "TIME",
        default: "none",
        help: "write a snapshot this often, so that the last one is there whatever kills the process; it needs a file",
        set: |options, value| match duration_or_none(value)? {
            Some(time) if time < LEAST_INTERVAL => Err(format!("at least {LEAST_INTERVAL:?} is needed")),
            interval => {
                options.interval = interval;
                Ok(())
            }
        },
    },
    Row {
        name: "keep",
        value: "N",
        default: "1",
        help: "snapshots kept: 1 replaces the file each time, more are numbered and the oldest deleted",
        set: |options, value| match number(value)? {
            keep @ 1..=100_000 => {
                options.keep = keep as usize;
                Ok(())
            }
            _ => Err("a number from 1 to 100000 is needed".into()),
        },
    },
    Row {
        name: "arm",
        value: "true|false",
        default: "true",
        help: "false loads the agent without a hook; delay or the command arm make it work later",
        set: |options, value| {
            options.arm = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "delay",
        value: "TIME",
        default: "none",
        help: "arm this long after the start",
        set: |options, value| {
            options.delay = duration_or_none(value)?;
            Ok(())
        },
    },
    Row {
        name: "duration",
        value: "TIME",
        default: "none",
        help: "audit for this long, then report and disarm",
        set: |options, value| {
            options.duration = duration_or_none(value)?;
            Ok(())
        },
    },
    Row {
        name: "adopt",
        value: "true|false",
        default: "true",
        help: "find the streams that are open already when arming: one walk over the heap, during which the program stands still",
        set: |options, value| {
            options.adopt = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "retain",
        value: "N",
        default: "0",
        help: "tell who keeps up to so many of the oldest live instances of each suspect site, 100 at most: walks over the heap before each report but the snapshots of interval, during which the program stands still",
        set: |options, value| match number(value)? {
            retain @ 0..=100 => {
                options.retain = retain as usize;
                Ok(())
            }
            _ => Err("a number from 0 to 100 is needed".into()),
        },
    },
    Row {
        name: "retain_wait",
        value: "TIME",
        default: "2s",
        help: "with retain: how long the program may stand still for it in all",
        set: |options, value| {
            options.retain_wait = duration(value)?;
            Ok(())
        },
    },
    Row {
        name: "min_age",
        value: "TIME",
        default: "0s",
        help: "live instances younger than this are not suspects",
        set: |options, value| {
            options.min_age = duration(value)?;
            Ok(())
        },
    },
    Row {
        name: "suppressions",
        value: "FILE",
        default: "none",
        help: "rules for what is expected, one a line (docs/suppressions.md); may be given several times",
        set: |options, value| {
            options.suppressions.push(PathBuf::from(value));
            Ok(())
        },
    },
    Row {
        name: "default_suppressions",
        value: "true|false",
        default: "true",
        help: "false turns off the built-in rules for the JDK's own caches, which zaudit suppress --built-in lists",
        set: |options, value| {
            options.default_suppressions = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "baseline",
        value: "FILE",
        default: "none",
        help: "an older JSON report: only what is new or has grown against it is told as a leak or a suspect, and fails",
        set: |options, value| {
            options.baseline = (value != "none").then(|| PathBuf::from(value));
            Ok(())
        },
    },
    Row {
        name: "exitcode",
        value: "CODE",
        default: "none",
        help: "the process ends with this code, 1 to 255, if the last report of an audit has a leak that no rule covers and no baseline knows, or a rule over its maximum; the program's own code wins if it is not 0",
        set: |options, value| {
            options.exitcode = exit_code(value)?;
            Ok(())
        },
    },
    Row {
        name: "fail_on",
        value: "live:N|bytes:SIZE",
        default: "leak",
        help: "with exitcode: fail also if so many suspects are live, or hold so much; may be given several times",
        set: |options, value| fail_on(&mut options.fail_on, value),
    },
    Row {
        name: "signal",
        value: "NAME|none",
        default: "USR1",
        help: "the signal that asks for a report; taken only while nobody else handles it; SIGQUIT always asks, and belongs to the JVM",
        set: |options, value| {
            options.signal = Choice { value: signal(value)?, explicit: true };
            Ok(())
        },
    },
    Row {
        name: "depth",
        value: "FRAMES",
        default: "1024",
        help: "frames kept of each allocation stack, 1 to 2048; a longer one is cut at its outer end and says so",
        set: |options, value| {
            let frames = number(value)?;
            match usize::try_from(frames) {
                Ok(frames) if (1..=MAX_DEPTH).contains(&frames) => options.depth = frames,
                _ => return Err(format!("a number from 1 to {MAX_DEPTH} is needed")),
            }
            Ok(())
        },
    },
    Row {
        name: "answer",
        value: "PATH",
        default: "standard error",
        help: "with a command: where its answer goes",
        set: |options, value| {
            options.answer = Some(PathBuf::from(value));
            Ok(())
        },
    },
    Row {
        name: "strict",
        value: "",
        default: "off",
        help: "a bad option keeps the JVM from starting; without it the option is ignored, with a line on standard error",
        set: |options, value| {
            options.strict = switch(value)?;
            Ok(())
        },
    },
    Row {
        name: "help",
        value: "",
        default: "off",
        help: "print this table on standard error, and go on",
        set: |options, value| {
            options.help = switch(value)?;
            Ok(())
        },
    },
];

/// The commands: name, what it is, what it does.
pub(super) const COMMANDS: &[(&str, Command, &str)] = &[
    ("arm", Command::Arm, "begin to audit, with these options; it is what an attach without a command does"),
    ("dump", Command::Dump, "make a report now; file, format and gc hold for this one"),
    ("status", Command::Status, "tell what is going on, in a few lines"),
    ("reset", Command::Reset, "count from now on; what is live now is adopted"),
    (
        "disarm",
        Command::Disarm,
        "make the last report (as dump does), then put the original bytecode back and forget everything",
    ),
    ("help", Command::Help, "tell the options and the commands"),
];
