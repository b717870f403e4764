//! How a report is made: prepare, snapshot, classify, render, write.
//!
//! Runs on the agent's thread or on the thread that attached; the last report is written on the
//! thread that ends the JVM. Invariant: reports are made one after the other, and a requested
//! report that cannot be written to its file is written to standard error.

use crate::inspect::gc::{self, MAYBE_GARBAGE};
use crate::inspect::{footprint, gc_roots};
use crate::observe::{adoption, events, guard, stack};
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::context::Context;
use crate::state::report_slot::{Prepared, REPORT_SLOT_TIMEOUT};
use crate::sys::jni::Jni;
use crate::sys::jvmti::{jclass, jobject};
use crate::sys::object_free;
use crate::sys::{allocator, posix};
use jvmti_bindings::sys::jni::JNIEnv;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use zaudit_core::escape;
use zaudit_core::files::{self, Naming, Pattern, Rotation};
use zaudit_core::model::{InstanceId, Nanos, OutOfMemory, Trigger};
use zaudit_core::options::{Format, Options};
use zaudit_core::report::{Process, Report, Style};
use zaudit_instrument::Identity;

/// Why no report can be made now.
const BUSY: &str = "another report is being written, or the JVM is exiting";

/// A report that a signal or SIGQUIT requests. A request during another report is dropped.
pub(crate) fn on_demand(context: Context<'_>, trigger: Trigger) {
    let Context { agent, audit, .. } = context;
    let Some(turn) = agent.reports.begin(Duration::ZERO) else { return };
    let prepared = prepare(context, &audit.options);
    match build(agent, audit, trigger, Some(turn.next_number()), prepared) {
        // A report that could not be written to its file was written to standard error instead.
        Ok(report) => drop(write(&report, &audit.options, report.process.number)),
        Err(why) => posix::say(&no_report(why)),
    }
}

/// A report that a command requests. `to` holds its options and, if it names a file, the exact
/// path. Returns what was done with the report.
pub(crate) fn on_command(context: Context<'_>, to: &Options) -> Result<String, String> {
    let Context { agent, audit, .. } = context;
    let turn = agent.reports.begin(REPORT_SLOT_TIMEOUT).ok_or(BUSY)?;
    let prepared = prepare(context, to);
    let report = build(agent, audit, Trigger::Command, Some(turn.next_number()), prepared);
    report.map_err(no_report).and_then(|report| write_command(&report, to, &audit.options))
}

/// The report that the command `dump` would write now, as a text.
pub(crate) fn as_text(context: Context<'_>, format: Format) -> Result<String, String> {
    let Context { agent, audit, .. } = context;
    let turn = agent.reports.begin(REPORT_SLOT_TIMEOUT).ok_or(BUSY)?;
    let prepared = prepare(context, &audit.options);
    let report = build(agent, audit, Trigger::Command, Some(turn.next_number()), prepared);
    let report = report.map_err(no_report)?;
    let mut text = InMemory::default();
    render(&report, format, Style::default(), &mut text)
        .map_err(|error| format!("cannot render the report: {}", files::reason(&error)))?;
    String::from_utf8(text.0).map_err(|error| format!("the report is no text: {error}"))
}

/// A writer to memory, which fails when that runs out.
#[derive(Default)]
struct InMemory(Vec<u8>);

impl io::Write for InMemory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_reserve(bytes.len()).map_err(OutOfMemory::from)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The result of the last report of an audit that ends before the JVM does.
pub(crate) enum EndOfAudit {
    /// The report cannot be made now: another report takes too long, or the JVM is exiting.
    Busy,
    /// There is no memory for the report, and a command waits for it. Holds the error message.
    NoReport(String),
    /// What was done with the report, or the error message.
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
    let Some(_turn) = agent.reports.begin(REPORT_SLOT_TIMEOUT) else { return EndOfAudit::Busy };
    let options = to.unwrap_or(&audit.options);
    let prepared = prepare(Context { agent, audit: &audit, jni }, options);
    EndOfAudit::Done(match build(agent, &audit, trigger, None, prepared) {
        Ok(report) => {
            let written = match to {
                Some(to) => write_command(&report, to, &audit.options),
                None => write_final_report(&report, &audit),
            };
            apply_gate(&report, &audit);
            written
        }
        // No command waits for the end of `duration`, so the audit ends in any case.
        Err(why) if to.is_none() => Err(no_report(why)),
        Err(why) => return EndOfAudit::NoReport(no_report(why)),
    })
}

/// Restarts the counts. Waits for a running report, so that a report covers one epoch only.
pub(crate) fn reset(agent: &Agent, audit: &Audit) -> Result<(), String> {
    let _turn = agent.reports.begin(REPORT_SLOT_TIMEOUT).ok_or(BUSY)?;
    // What was freed before belongs to the counts that end here.
    let undelivered = deliver(agent, audit);
    agent.report_uncounted(audit);
    audit.reset(agent.now()).map_err(|why| why.to_string())?;
    stack::reset();
    audit.session.set_unsettled(undelivered);
    Ok(())
}

/// A snapshot of `interval`. It never goes to standard error; if it fails, the previous one stays.
pub(crate) fn snapshot(agent: &Agent, audit: &Audit) {
    let files = &audit.options.files;
    if files.is_empty() {
        return;
    }
    let Some(turn) = agent.reports.begin(Duration::ZERO) else { return };
    let numbered =
        audit.options.max_snapshots > 1 || files.iter().any(Pattern::tells_reports_apart);
    let number = numbered.then(|| turn.next_number());
    let failed = match build(agent, audit, Trigger::Interval, number, Prepared::default()) {
        Ok(report) if suppressed_by_quiet(&report, audit) => Vec::new(),
        Ok(report) => write_snapshots(&report, audit, number),
        Err(why) => vec![no_report(why)],
    };
    let failed_before = audit.snapshot_failed.swap(!failed.is_empty(), Ordering::Relaxed);
    if !failed.is_empty() && !failed_before {
        let why = failed.join("; ");
        posix::say(&format!("{why}; earlier snapshots stay, and the next interval tries again"));
    }
}

/// Writes a snapshot to each file. Returns the error messages.
fn write_snapshots(report: &Report, audit: &Audit, number: Option<u32>) -> Vec<String> {
    let mut rotations = audit.rotations.lock().unwrap_or_else(PoisonError::into_inner);
    rotations.resize_with(audit.options.files.len(), Rotation::default);
    let each = paths(report, &audit.options, number).into_iter().zip(rotations.iter_mut());
    // A file that fails does not prevent the others.
    let written =
        each.map(|(path, rotation)| write_snapshot(report, &audit.options, &path, rotation));
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
        format!("cannot delete the old snapshot {}: {}", escape::path(&path), files::reason(&error))
    })
}

/// `zaudit.Hooks.ending(Object)`: the JVM is about to exit.
pub(crate) extern "system" fn ending(env: *mut JNIEnv, _class: jclass, _null: jobject) {
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    guard::during_audit(unsafe { Jni::new(env) }, prepare_final);
}

/// Prepares the last report at the last moment at which a GC can be forced and pending ObjectFree
/// events can be delivered safely.
fn prepare_final(context: Context<'_>) {
    let Context { agent, audit, .. } = context;
    let Some(turn) = agent.reports.prepare_final() else { return };
    // The paths to GC roots are searched here, too: when VMDeath is posted, the JVM has already
    // stopped concurrent collectors.
    let Prepared { unsettled, retention } = prepare(context, &audit.options);
    let undelivered = deliver(agent, audit);
    let by_tag = audit.identity() == Identity::Tag;
    let still_enabled = by_tag
        .then(|| object_free::disable(audit.jvmti).err())
        .flatten()
        .map(|error| format!("cannot disable ObjectFree events before the JVM exits: {error}"));
    turn.prepared(Prepared { unsettled: unsettled.or(undelivered).or(still_enabled), retention });
}

/// Writes the last report of a JVM that exits. Does nothing if the audit has just ended.
pub(crate) fn write_final(agent: &Agent) {
    let prepared = agent.reports.take_final();
    let Some(audit) = agent.hold_audit() else { return };
    let prepared = prepared.unwrap_or_else(|| {
        let reason = "no GC before this report: the JVM did not exit through java.lang.Shutdown";
        let unsettled = audit.options.gc.then(|| format!("{reason}; {MAYBE_GARBAGE}"));
        Prepared { unsettled, ..Prepared::default() }
    });
    match build(agent, &audit, Trigger::Exit, None, prepared) {
        Ok(report) => {
            // A report that could not be written to its file was written to standard error instead.
            let _ = write_final_report(&report, &audit);
            apply_gate(&report, &audit);
        }
        Err(why) => posix::say(&no_report(why)),
    }
    // The JVM is exiting: the audit's memory goes with the process.
    std::mem::forget(audit);
}

/// Forces a GC and searches for paths to GC roots, where the options say so.
fn prepare(context: Context<'_>, options: &Options) -> Prepared {
    let Context { agent, audit, jni } = context;
    events::look_for_changes(context);
    let unsettled = match options.gc {
        true => gc::collect_and_wait(agent, jni, options.gc_timeout),
        false => {
            if audit.identity() == Identity::Address && audit.has_live() {
                gc::wait_for_cleaner(agent, jni);
            }
            None
        }
    };
    agent.drain(audit);
    if audit.identity() == Identity::Address {
        match adoption::find_gone(context) {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => record_collected(context, gone),
            Err(error) => {
                audit.session.record_unreadable("subclasses were not searched for garbage");
                posix::say(&format!(
                    "cannot search for collected instances of subclasses: {error}"
                ));
            }
        }
    }
    Prepared { unsettled, retention: gc_roots::find_paths(context, options) }
}

/// Records as collected what is still live after a while: nothing will free it.
fn record_collected(
    Context { agent, audit, jni }: Context<'_>,
    mut gone: Vec<(InstanceId, Nanos)>,
) {
    /// By then, what is being freed now has been freed, unless its thread got no processor. No
    /// event tells when it has.
    const FREEING: Duration = Duration::from_millis(100);
    /// How often the JVM may have held up the program meanwhile.
    const PAUSES: usize = 10;
    gc::wait_for_cleaner(agent, jni);
    for _ in 0..PAUSES {
        let began = Instant::now();
        std::thread::sleep(FREEING);
        // During a pause this waits for its end.
        jni.check_exceptions();
        if began.elapsed() < FREEING * 5 / 4 {
            break;
        }
    }
    audit.record_collected(&mut gone, agent.recent());
    gone.into_iter().for_each(|(id, _)| audit.tell_marks_collected(id));
}

/// Records all pending frees in the ledger, and gives memory back. Returns an error message if they
/// could not be delivered.
fn deliver(agent: &Agent, audit: &Audit) -> Option<String> {
    if audit.identity() == Identity::Address {
        audit.shrink();
        return None;
    }
    let thread_class = agent.classes.get().map(|classes| classes.thread);
    let delivered =
        thread_class.map_or(Ok(()), |any| object_free::deliver_pending(audit.jvmti, any));
    agent.drain(audit);
    let error = delivered.err()?;
    Some(format!("pending ObjectFree events were not delivered: {error}; {MAYBE_GARBAGE}"))
}

/// The error message for a report that could not be made.
fn no_report(why: OutOfMemory) -> String {
    format!("cannot make a report: {why}")
}

fn build(
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
    audit.session.set_unsettled(prepared.unsettled.or(undelivered));
    let process = process(agent, audit, trigger, number);
    let snapshot = audit.snapshot(agent.now())?;
    let mut history = audit.history();
    // An earlier report that is still being written holds the history, if the JVM exits during it.
    // Then this report shows the trends of that one.
    if let Some(history) = Arc::get_mut(&mut history) {
        history.record(&snapshot)?;
    }
    let native = footprint::native(Jni::of_this_thread()).unwrap_or_default();
    let rules = audit.expected.rules.clone();
    let mut report = Report::new(process, native, &snapshot, rules, Arc::clone(&history))?;
    report.health.walk = stack::health(audit);
    let report = Report { retention: prepared.retention, ..report };
    Ok(match &audit.expected.baseline {
        Some(baseline) => report.against(baseline),
        None => report,
    })
}

/// What a report says of this process.
pub(crate) fn process(
    agent: &Agent,
    audit: &Audit,
    trigger: Trigger,
    number: Option<u32>,
) -> Process {
    let epoch = audit.epoch();
    let property = |name| agent.jvmti.system_property(name).unwrap_or_default();
    let jvm = format!(
        "{} {} (Java {})",
        property(c"java.vm.name"),
        property(c"java.vm.version"),
        property(c"java.vm.specification.version")
    );
    Process {
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
    }
}

/// Renders a report, and stops when memory gets short.
fn render(report: &Report, format: Format, style: Style, to: &mut dyn io::Write) -> io::Result<()> {
    #[cfg(feature = "fault-injection")]
    let _stage = crate::sys::fault_injection::memory("render");
    report.render(format, style, &mut MemoryChecked(to))
}

/// A writer that fails when memory is short, which stops the renderer.
struct MemoryChecked<'w>(&'w mut dyn io::Write);

impl io::Write for MemoryChecked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if allocator::is_pressed() { Err(OutOfMemory.into()) } else { self.0.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes a report to a file. The error message names the file and the reason.
fn write_file(report: &Report, format: Format, path: &Path) -> Result<(), String> {
    files::write_with(format.mode(), path, &mut |to| render(report, format, Style::default(), to))
        .map_err(|error| format!("cannot write {}: {}", escape::path(path), files::reason(&error)))
}

/// Writes a report to standard error, as text.
fn write_to_stderr(report: &Report, format: Option<Format>) {
    // A binary format would be unreadable among the program's own output.
    let format = format.filter(|format| format.is_text()).unwrap_or(Format::Text);
    let mut stderr = BufWriter::new(posix::Stderr::new());
    let written =
        render(report, format, posix::stderr_style(), &mut stderr).and_then(|()| stderr.flush());
    if let Err(error) = written
        && error.kind() == io::ErrorKind::OutOfMemory
    {
        posix::say(&format!("the report is truncated: {OutOfMemory}"));
    }
}

/// The paths of a report. `number` is inserted into the names of regular files.
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

/// Writes a report to its files. If all of them fail, writes it to standard error, with the reason.
/// Returns what was done.
fn write(report: &Report, options: &Options, number: Option<u32>) -> Result<String, String> {
    let paths = paths(report, options, number);
    if paths.is_empty() {
        write_to_stderr(report, options.format);
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
        // The report is complete in another file.
        Some(_) if !written.is_empty() => {
            posix::say(&why);
            Err(why)
        }
        Some((format, _)) => {
            posix::say(&format!("{why}; the report follows here"));
            write_to_stderr(report, Some(*format));
            Err(why)
        }
    }
}

/// If the command names a file, that exact path is written; the audit's own files are numbered.
fn write_command(report: &Report, to: &Options, own: &Options) -> Result<String, String> {
    if to.files.is_empty() {
        write(report, &Options { files: own.files.clone(), ..to.clone() }, report.process.number)
    } else {
        write(report, to, None)
    }
}

/// Whether `quiet` suppresses a report that was not requested explicitly: it has no findings, and
/// no earlier snapshot had findings that a reader would still take as current.
fn suppressed_by_quiet(report: &Report, audit: &Audit) -> bool {
    let no_snapshot = || {
        audit
            .rotations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .all(Rotation::is_empty)
    };
    audit.options.quiet.value && report.nothing_to_tell() && no_snapshot()
}

fn write_final_report(report: &Report, audit: &Audit) -> Result<String, String> {
    if suppressed_by_quiet(report, audit) {
        return Ok("no report was written, because there are no findings (option quiet)".into());
    }
    write(report, &audit.options, None)
}

/// Applies the options `fail_on` and `exit_code`.
fn apply_gate(report: &Report, audit: &Audit) {
    if let Some(code) = audit.options.exit_code
        && let Some(why) = report.classification.failure(&report.rules, &audit.options.fail_on)
        && !posix::fail_at_exit(code, why)
    {
        posix::say("cannot set the exit code: this system's C library has no on_exit");
    }
}
