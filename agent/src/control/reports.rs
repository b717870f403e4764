//! A report on its way out: settle, snapshot, judge, render, write.
//!
//! Runs on the agent's own thread or on the one that attached; for the last report on the thread that ends the JVM.
//! Invariant: reports are made one after the other, and one that was asked for and cannot be written to its file is
//! written to standard error.

use crate::inspect::{footprint, gc, gc_roots};
use crate::observe::guard;
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::report_slot::{PATIENCE, Prepared};
use crate::sys::jni::Jni;
use crate::sys::jvmti::{jclass, jobject};
use crate::sys::object_free;
use crate::sys::{allocator, posix};
use jvmti_bindings::sys::jni::JNIEnv;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};
use zaudit_core::escape;
use zaudit_core::files::{self, Naming, Pattern, Rotation};
use zaudit_core::model::{OutOfMemory, Trigger};
use zaudit_core::options::{Format, Options};
use zaudit_core::report::{Process, Report, Style};

/// A report that a signal or SIGQUIT asks for. While another is under way it is the same wish.
pub(crate) fn on_demand(agent: &Agent, audit: &Audit, jni: Jni, trigger: Trigger) {
    let Some(turn) = agent.reports.begin(Duration::ZERO) else { return };
    let prepared = prepare(agent, audit, jni, &audit.options);
    match make(agent, audit, trigger, Some(turn.next_number()), prepared) {
        // What could not be written to its file came on standard error instead.
        Ok(report) => drop(write(&report, &audit.options, report.process.number)),
        Err(why) => posix::say(&no_report(why)),
    }
}

/// A report that a command asks for; `to` says how and, if it names a file, exactly where. What was done with it.
pub(crate) fn on_command(agent: &Agent, audit: &Audit, jni: Jni, to: &Options) -> Result<String, String> {
    let turn = agent.reports.begin(PATIENCE).ok_or("another report is under way, or the JVM is ending")?;
    let prepared = prepare(agent, audit, jni, to);
    let report = make(agent, audit, Trigger::Command, Some(turn.next_number()), prepared);
    report.map_err(no_report).and_then(|report| write_command(&report, to, &audit.options))
}

/// What came of the last report of an audit that ends before the JVM does.
pub(crate) enum EndOfAudit {
    /// It cannot be made now: another report takes too long, or the JVM is ending.
    Busy,
    /// There is no memory for it, and a command waits for it. Why, in words.
    NoReport(String),
    /// What was done with it, or what went wrong.
    Done(Result<String, String>),
}

/// Makes the last report of an audit that ends before the JVM does. `to` says where it goes.
pub(crate) fn end_of_audit(
    agent: &Agent,
    audit: Arc<Audit>,
    jni: Jni,
    trigger: Trigger,
    to: Option<&Options>,
) -> EndOfAudit {
    let Some(_turn) = agent.reports.begin(PATIENCE) else { return EndOfAudit::Busy };
    let options = to.unwrap_or(&audit.options);
    let prepared = prepare(agent, &audit, jni, options);
    EndOfAudit::Done(match make(agent, &audit, trigger, None, prepared) {
        Ok(report) => {
            let written = match to {
                Some(to) => write_command(&report, to, &audit.options),
                None => last_words(&report, &audit),
            };
            fail_if_asked(&report, &audit);
            written
        }
        // Nobody waits for the end of `duration`, so the audit ends all the same.
        Err(why) if to.is_none() => Err(no_report(why)),
        Err(why) => return EndOfAudit::NoReport(no_report(why)),
    })
}

/// Counts from now on. A report that is being made tells of one epoch, not of half of each.
pub(crate) fn reset(agent: &Agent, audit: &Audit) -> Result<(), String> {
    let _turn = agent.reports.begin(PATIENCE).ok_or("a report is under way, or the JVM is ending")?;
    // What was freed before belongs to the counts that end here.
    let undelivered = deliver(agent, audit);
    agent.report_uncounted(audit);
    audit.reset(agent.now());
    audit.session.unsettled(undelivered);
    Ok(())
}

/// A snapshot of `interval`. It is never forced on standard error, and one that fails leaves the one before in place.
pub(crate) fn snapshot(agent: &Agent, audit: &Audit) {
    let files = &audit.options.files;
    if files.is_empty() {
        return;
    }
    let Some(turn) = agent.reports.begin(Duration::ZERO) else { return };
    let numbered = audit.options.max_snapshots > 1 || files.iter().any(Pattern::tells_reports_apart);
    let number = numbered.then(|| turn.next_number());
    let failed = match make(agent, audit, Trigger::Interval, number, Prepared::default()) {
        Ok(report) if is_left_out(&report, audit) => Vec::new(),
        Ok(report) => write_snapshots(&report, audit, number),
        Err(why) => vec![no_report(why)],
    };
    let failed_before = audit.snapshot_failed.swap(!failed.is_empty(), Ordering::Relaxed);
    if !failed.is_empty() && !failed_before {
        let why = failed.join("; ");
        posix::say(&format!("{why}; the snapshots before stay, and it is tried again each time"));
    }
}

/// Writes a snapshot to each file. What failed.
fn write_snapshots(report: &Report, audit: &Audit, number: Option<u32>) -> Vec<String> {
    let mut rotations = audit.rotations.lock().unwrap_or_else(PoisonError::into_inner);
    rotations.resize_with(audit.options.files.len(), Rotation::default);
    let each = paths(report, &audit.options, number).into_iter().zip(rotations.iter_mut());
    // One that fails keeps none of the others from being written.
    let written = each.map(|(path, rotation)| write_snapshot(report, &audit.options, &path, rotation));
    written.filter_map(Result::err).collect()
}

fn write_snapshot(
    report: &Report,
    options: &Options,
    path: &Path,
    rotation: &mut Rotation,
) -> Result<(), String> {
    write_file(report, format_of(options, path), path)?;
    rotation.wrote(path, options.max_snapshots).map_err(|(path, error)| {
        format!("cannot delete {}, an old snapshot: {}", escape::path(&path), files::reason(&error))
    })
}

/// `zaudit.Hooks.ending(Object)`: the JVM is about to end.
pub(crate) extern "system" fn ending(env: *mut JNIEnv, _class: jclass, _null: jobject) {
    guard::hook(|agent, audit| {
        // SAFETY: the JVM hands its own environment of this thread to a native method.
        prepare_last(agent, audit, unsafe { Jni::new(env) });
    });
}

/// The last moment at which a collection can be forced, and frees be asked for without danger.
fn prepare_last(agent: &Agent, audit: &Audit, jni: Jni) {
    let Some(turn) = agent.reports.prepare_last() else { return };
    // Who keeps live ones, too: when VMDeath is posted collectors that move objects meanwhile have been stopped.
    let Prepared { unsettled, retention } = prepare(agent, audit, jni, &audit.options);
    let undelivered = deliver(agent, audit);
    let unheard =
        object_free::silence(audit.jvmti).err().map(|error| format!("frees are still told of: {error}"));
    turn.prepared(Prepared { unsettled: unsettled.or(undelivered).or(unheard), retention });
}

/// The last report of a JVM that ends. None if an audit has ended just before.
pub(crate) fn last(agent: &Agent) {
    let prepared = agent.reports.take_last();
    let Some(audit) = agent.hold_audit() else { return };
    let prepared = prepared.unwrap_or_else(|| {
        let reason = "no collection before this report: the JVM did not end through java.lang.Shutdown";
        let unsettled = audit.options.gc.then(|| format!("{reason}; garbage may be called live"));
        Prepared { unsettled, ..Prepared::default() }
    });
    match make(agent, &audit, Trigger::Exit, None, prepared) {
        Ok(report) => {
            // What could not be written to its file came on standard error instead.
            let _ = last_words(&report, &audit);
            fail_if_asked(&report, &audit);
        }
        Err(why) => posix::say(&no_report(why)),
    }
    // The JVM is ending: nothing is given back any more.
    std::mem::forget(audit);
}

/// Collects, and looks who keeps what is live, where that was asked for.
fn prepare(agent: &Agent, audit: &Audit, jni: Jni, options: &Options) -> Prepared {
    let unsettled = if options.gc { gc::collect(agent, jni, options.gc_timeout) } else { None };
    agent.drain(audit);
    Prepared { unsettled, retention: gc_roots::look(agent, audit, jni, options) }
}

/// Enters what the collector has freed, told already or not. What could not be done.
fn deliver(agent: &Agent, audit: &Audit) -> Option<String> {
    let thread_class = agent.classes.get().map(|classes| classes.thread);
    let delivered = thread_class.map_or(Ok(()), |any| object_free::deliver_pending(audit.jvmti, any));
    agent.drain(audit);
    let error = delivered.err()?;
    Some(format!("pending frees were not delivered: {error}; garbage may be called live"))
}

/// An error that is no report at all.
fn no_report(why: OutOfMemory) -> String {
    format!("there is no report: {why}")
}

fn make(
    agent: &Agent,
    audit: &Audit,
    trigger: Trigger,
    number: Option<u32>,
    prepared: Prepared,
) -> Result<Report, OutOfMemory> {
    #[cfg(feature = "fault-injection")]
    crate::sys::fault_injection::dump();
    #[cfg(feature = "fault-injection")]
    let _stage = crate::sys::fault_injection::memory("report");
    let undelivered = deliver(agent, audit);
    agent.report_uncounted(audit);
    if allocator::is_pressed() {
        return Err(OutOfMemory);
    }
    audit.session.unsettled(prepared.unsettled.or(undelivered));
    let epoch = audit.epoch();
    let property = |name| agent.jvmti.system_property(name).unwrap_or_default();
    let jvm = format!(
        "{} {} (Java {})",
        property(c"java.vm.name"),
        property(c"java.vm.version"),
        property(c"java.vm.specification.version")
    );
    let process = Process {
        pid: std::process::id(),
        jvm,
        command: property(c"sun.java.command"),
        options: audit.options.as_given(),
        started: epoch.started,
        armed: epoch.since,
        taken: SystemTime::now(),
        from_start: epoch.from_start,
        trigger,
        number,
        rss_bytes: posix::resident(),
        reports: 1,
    };
    let snapshot = audit.session.snapshot(agent.now(), audit.options.min_age)?;
    let mut history = audit.history();
    // A report that is still being written has it, where the JVM ends beside one that takes too long. This report then has
    // the trends of that one.
    if let Some(history) = Arc::get_mut(&mut history) {
        history.record(&snapshot)?;
    }
    let native = footprint::native(Jni::of_this_thread()).unwrap_or_default();
    let rules = audit.expected.rules.clone();
    let report = Report::new(process, native, &snapshot, rules, Arc::clone(&history))?;
    let report = Report { retention: prepared.retention, ..report };
    Ok(match &audit.expected.baseline {
        Some(baseline) => report.against(baseline),
        None => report,
    })
}

/// Renders a report, as long as there is memory for it.
fn render(report: &Report, format: Format, style: Style, to: &mut dyn io::Write) -> io::Result<()> {
    #[cfg(feature = "fault-injection")]
    let _stage = crate::sys::fault_injection::memory("render");
    report.render(format, style, &mut Sparing(to))
}

/// A writer that fails where memory is short, which stops the renderer.
struct Sparing<'w>(&'w mut dyn io::Write);

impl io::Write for Sparing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if allocator::is_pressed() { Err(OutOfMemory.into()) } else { self.0.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes a report to a file. The error says which and why.
fn write_file(report: &Report, format: Format, path: &Path) -> Result<(), String> {
    files::write_with(format.mode(), path, &mut |to| render(report, format, Style::default(), to))
        .map_err(|error| format!("cannot write {}: {}", escape::path(path), files::reason(&error)))
}

/// Writes a report to standard error, for people.
fn write_aloud(report: &Report, format: Option<Format>) {
    // Not among the program's own words what no terminal can show.
    let format = format.filter(|format| format.is_text()).unwrap_or(Format::Text);
    let mut stderr = BufWriter::new(posix::Stderr::new());
    let written = render(report, format, posix::stderr_style(), &mut stderr).and_then(|()| stderr.flush());
    if let Err(error) = written
        && error.kind() == io::ErrorKind::OutOfMemory
    {
        posix::say(&format!("the report ends here: {OutOfMemory}"));
    }
}

/// Where a report goes that is told apart by `number`, if by anything.
fn paths(report: &Report, options: &Options, number: Option<u32>) -> Vec<PathBuf> {
    let naming = |number| Naming { pid: report.process.pid, time: report.process.taken, number };
    let path = |pattern: &Pattern| {
        let plain = pattern.path(&naming(None));
        if files::is_special(&plain) { plain } else { pattern.path(&naming(number)) }
    };
    options.files.iter().map(path).collect()
}

fn format_of(options: &Options, path: &Path) -> Format {
    options.format.unwrap_or_else(|| Format::of_file(path))
}

/// Writes a report where the options say, else, with the reason, on standard error. What was done.
fn write(report: &Report, options: &Options, number: Option<u32>) -> Result<String, String> {
    let paths = paths(report, options, number);
    if paths.is_empty() {
        write_aloud(report, options.format);
        return Ok("the report is on the JVM's standard error".into());
    }
    let (mut written, mut failed) = (Vec::new(), Vec::new());
    for path in paths {
        let format = format_of(options, &path);
        match write_file(report, format, &path) {
            Ok(()) => written.push(escape::path(&path)),
            Err(why) => failed.push((format, why)),
        }
    }
    let why = failed.iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>().join("; ");
    match failed.first() {
        None => Ok(format!("the report is in {}", written.join(" and "))),
        // Nothing is lost that is in another file.
        Some(_) if !written.is_empty() => {
            posix::say(&why);
            Err(why)
        }
        Some((format, _)) => {
            posix::say(&format!("{why}; the report follows here"));
            write_aloud(report, Some(*format));
            Err(why)
        }
    }
}

/// A command that names a file means that very file; the audit's own file is told apart by the report's number.
fn write_command(report: &Report, to: &Options, own: &Options) -> Result<String, String> {
    if to.files.is_empty() {
        write(report, &Options { files: own.files.clone(), ..to.clone() }, report.process.number)
    } else {
        write(report, to, None)
    }
}

/// Whether `quiet` leaves out a report that nobody asked for just now: there is nothing to tell, and no snapshot
/// before it told anything that is still to be read and true no more.
fn is_left_out(report: &Report, audit: &Audit) -> bool {
    let nothing_told =
        || audit.rotations.lock().unwrap_or_else(PoisonError::into_inner).iter().all(Rotation::is_empty);
    audit.options.quiet.value && report.nothing_to_tell() && nothing_told()
}

fn last_words(report: &Report, audit: &Audit) -> Result<String, String> {
    if is_left_out(report, audit) {
        return Ok("there is nothing to tell".into());
    }
    write(report, &audit.options, None)
}

/// What `exit_code` asks for.
fn fail_if_asked(report: &Report, audit: &Audit) {
    if let Some(code) = audit.options.exit_code
        && let Some(why) = report.classification.failure(&report.rules, &audit.options.fail_on)
        && !posix::fail_at_exit(code, why)
    {
        posix::say("the exit code stays as it is: this system's C library has no on_exit");
    }
}
