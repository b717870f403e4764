//! How an audit begins and ends: the helper class, the events, the rewriting of the classes, and all of it undone.
//!
//! The same way at the JVM's start and on an attach, under load. Invariant: an audit begins whole or not at all, but
//! for single hooks, which the report's `health` names; and it ends with the original bytecode.

use super::reports::EndOfAudit;
use super::worker::Duties;
use crate::control::{preflight, reports, worker};
use crate::observe::events;
use crate::observe::{adoption, hooks};
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::audit::Expectations;
use crate::state::classes::Classes;
use crate::sys::jni::Jni;
use crate::sys::jvmti::jclass;
use crate::sys::posix::{say, take_signal};
use jvmti_bindings::sys::jni::JNINativeMethod;
use jvmti_bindings::sys::jvmti::{
    JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, JVMTI_EVENT_DATA_DUMP_REQUEST, JVMTI_EVENT_OBJECT_FREE,
};
use std::ffi::{CStr, CString};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};
use zaudit_core::model::Trigger;
use zaudit_core::options::Options;
use zaudit_instrument::{self as instrument, Callback};

/// Two audits at once would count everything twice.
const UNDER_WAY: &str = "an audit is under way; disarm it first, or reset its counts";

const OVER: &str = "the JVM is ending, or the agent has failed before";

/// Room for a few local references.
const ROOM: usize = 64;

/// Begins an audit.
pub(crate) fn arm(
    agent: &'static Agent,
    _control: &MutexGuard<'_, ()>,
    jni: Jni,
    options: &Options,
    expected: Expectations,
) -> Result<(), String> {
    may_begin(agent)?;
    let begun = jni
        .with_locals(ROOM, || begin(agent, jni, options, expected))
        .unwrap_or_else(|| Err("the JVM has no memory left".into()));
    // The JVM's end may have come meanwhile; its memory goes with the process, as in `Agent::over`.
    if agent.is_over() {
        std::mem::forget(agent.end_audit());
        return Err(OVER.into());
    }
    begun
}

/// Whether an audit may begin, now or after a delay.
pub(crate) fn may_begin(agent: &Agent) -> Result<(), String> {
    match () {
        () if agent.is_over() => Err(OVER.into()),
        () if agent.audit().is_some() => Err(UNDER_WAY.into()),
        () => Ok(()),
    }
}

/// Looks up once what every audit and the agent's thread need.
pub(crate) fn prepare(agent: &Agent, jni: Jni) -> Result<(), String> {
    if agent.classes.get().is_none() {
        let classes = jni
            .with_locals(ROOM, || define_helper(jni).and_then(|helper| Classes::find(jni, helper)))
            .unwrap_or_else(|| Err("the JVM has no memory left".into()))?;
        agent.classes.get_or_init(|| classes);
    }
    Ok(())
}

fn begin(agent: &'static Agent, jni: Jni, options: &Options, expected: Expectations) -> Result<(), String> {
    let error = |what: &'static str| move |error| format!("{what}: {error}");
    prepare(agent, jni)?;
    let jvmti = agent.new_environment()?;
    let audit = Arc::new(Audit::new(jvmti, options.clone(), expected, agent.now(), !agent.has_begun()));
    jvmti.add_capabilities(&events::capabilities()).map_err(error("the JVM refuses what is needed"))?;
    jvmti.set_callbacks(&events::callbacks()).map_err(error("no callbacks"))?;
    // The hook stays on: whenever another agent has these classes rewritten, the JVM begins anew from the
    // original bytes, and ours would be lost.
    jvmti.notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, true).map_err(error("no class file hook"))?;
    jvmti.notify(JVMTI_EVENT_OBJECT_FREE, true).map_err(error("no free events"))?;
    if options.adopt {
        audit.begin_search();
    }
    agent.waker().clear();
    // What came for the audit before this one after its last report; it would keep the first of ours from ringing.
    agent.forget_freed();
    agent.begin(Arc::clone(&audit));
    for (target, class) in hooked(agent) {
        if let Err(error) = jvmti.retransform(&[class]) {
            // A JVM that ended meanwhile refuses everything, and its own last words are those that count.
            if agent.is_over() {
                return Err(OVER.into());
            }
            events::missing(&audit, target, vec![format!("{target}: it could not be rewritten: {error}")]);
        }
    }
    if let Err(why) = start_worker(agent, jni, None) {
        drop(audit);
        drop(end(agent));
        return Err(format!("no thread of our own: {why}"));
    }
    if options.adopt
        && let Err(error) = adoption::run(agent, &audit, jni)
    {
        if agent.is_over() {
            return Err(OVER.into());
        }
        audit.session.dropped("open streams were not searched for");
        say(&format!("open streams are not adopted: {error}"));
    }
    if let Err(error) = agent.jvmti.notify(JVMTI_EVENT_DATA_DUMP_REQUEST, true)
        && !agent.is_over()
    {
        say(&format!("SIGQUIT asks for no report: {error}"));
    }
    ask_by_signal(agent, options);
    Ok(())
}

/// The classes that an audit rewrites.
fn hooked(agent: &'static Agent) -> Vec<(&'static str, jclass)> {
    let Some(classes) = agent.classes.get() else { return Vec::new() };
    instrument::targets().filter_map(|target| Some((target, classes.of_target(target)?))).collect()
}

/// What came of disarming.
pub(crate) enum DisarmOutcome {
    /// There was no audit.
    Nothing,
    /// The audit goes on: its last report could not be made, because another one takes too long, or because the JVM is
    /// ending and makes it itself.
    NotYet,
    /// The audit goes on, because there is no memory for its last report. Why, in words.
    NoReport(String),
    /// It is over. What was done with its last report, or what went wrong.
    Over(Result<String, String>),
}

/// The last report of an audit, and its end. `to` says where that report goes.
pub(crate) fn disarm(
    agent: &'static Agent,
    _control: &MutexGuard<'_, ()>,
    jni: Jni,
    trigger: Trigger,
    to: Option<&Options>,
) -> DisarmOutcome {
    let Some(audit) = agent.hold_audit() else { return DisarmOutcome::Nothing };
    let written = match reports::end_of_audit(agent, audit, jni, trigger, to) {
        EndOfAudit::Busy => return DisarmOutcome::NotYet,
        EndOfAudit::NoReport(why) => return DisarmOutcome::NoReport(why),
        EndOfAudit::Done(written) => written,
    };
    // A JVM that has ended meanwhile has made its own last report.
    let restored = jni.with_locals(ROOM, || end(agent)).flatten();
    DisarmOutcome::Over(written.and_then(|written| restored.map_or(Ok(written), Err)))
}

/// Puts everything back. What could not be.
fn end(agent: &'static Agent) -> Option<String> {
    let audit = agent.end_audit()?;
    let mut failed = None;
    if let Err(error) = agent.jvmti.notify(JVMTI_EVENT_DATA_DUMP_REQUEST, false) {
        failed = Some(format!("SIGQUIT still rings: {error}"));
    }
    // With the event off the JVM begins from the original bytes, and asks other agents only.
    let restored = audit
        .jvmti
        .notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, false)
        .and_then(|()| hooked(agent).iter().try_for_each(|(_, class)| audit.jvmti.retransform(&[*class])));
    // ObjectFree stays on until its environment goes: to set its mode may be deadly (see `freed`).
    if let Err(error) = restored {
        failed = Some(format!("the original bytecode could not be put back: {error}; its hooks do nothing"));
    }
    agent.worker.stop(agent.waker());
    let_go(audit);
    agent.forget_freed();
    failed
}

/// Waits a moment for hooks that are still at work, so that tables and tags are gone when the caller is told so. The last
/// of them gives everything back if it takes longer.
fn let_go(audit: Arc<Audit>) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let began = Instant::now();
    while Arc::strong_count(&audit) > 1 && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn ask_by_signal(agent: &Agent, options: &Options) {
    let choice = options.signal;
    let Some(signal) = choice.value else { return };
    // JDK 8 under -Xcheck:jni prints all its handlers on standard output when SIGUSR1 is not at its default
    // (`posix::run_periodic_checks`, INTERRUPT_SIGNAL): there it is taken only if the user says so.
    if !choice.explicit && agent.jvmti.release() == 8 && jvm_flag("-Xcheck:jni") {
        return;
    }
    if let Err(why) = take_signal(signal)
        && choice.explicit
    {
        say(&format!("SIG{} asks for no report: {why}; SIGQUIT does", signal.name));
    }
}

/// Whether the JVM was started with this flag, as far as the process can tell.
fn jvm_flag(flag: &str) -> bool {
    let given = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let inherited =
        ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"].map(|name| std::env::var(name).unwrap_or_default());
    given.split(|byte| *byte == 0).any(|word| word == flag.as_bytes())
        || inherited.iter().any(|options| options.split_whitespace().any(|word| word == flag))
}

/// A local reference to the helper class.
fn define_helper(jni: Jni) -> Result<jclass, String> {
    let c = |text: &str| CString::new(text).map_err(|error| error.to_string());
    let name = c(instrument::HELPER_CLASS)?;
    let class = jni
        .define_boot_class(&name, &instrument::helper_class())
        .ok_or("its helper class could not be defined; another copy of libzaudit.so is loaded in this JVM")?;
    let descriptor = c(instrument::CALLBACK_DESCRIPTOR)?;
    let (created, ended) = (c(Callback::Created.method())?, c(Callback::Ended.method())?);
    let ending = c(Callback::Ending.method())?;
    let native = |name: &CStr, function: *const ()| JNINativeMethod {
        name: name.as_ptr(),
        signature: descriptor.as_ptr(),
        fnPtr: function.cast_mut().cast(),
    };
    let natives = [
        native(&created, hooks::created as *const ()),
        native(&ended, hooks::ended as *const ()),
        native(&ending, reports::ending as *const ()),
    ];
    if jni.register(class, &natives) {
        Ok(class)
    } else {
        Err("the natives of its helper class could not be registered".into())
    }
}

/// What the agent's thread does, from its time or from a wake-up on.
const DUTIES: Duties =
    Duties { arm_if_due, disarm_if_due, report: reports::on_demand, snapshot: reports::snapshot };

/// Has the agent's thread run, and arm at the time that is given.
pub(crate) fn start_worker(
    agent: &Agent,
    jni: Jni,
    waiting: Option<(Instant, Options)>,
) -> Result<(), String> {
    worker::start(agent, jni, &DUTIES, waiting)
}

fn arm_if_due(agent: &'static Agent, jni: Jni) {
    let is_due = || agent.worker.arms_at().is_some_and(|time| time <= Instant::now());
    if !is_due() {
        return;
    }
    // Whoever has the right to arm may change the time, or call it off, until we have it.
    let Some(control) = agent.try_control() else { return worker::pause() };
    if !is_due() {
        return;
    }
    let Some(options) = agent.worker.take_waiting() else { return };
    let (expected, troubles) = preflight::look(&options);
    troubles.iter().for_each(|line| say(line));
    if let Err(why) = arm(agent, &control, jni, &options, expected) {
        agent.worker.not_wanted();
        say(&format!("nothing is audited: {why}"));
    }
}

fn disarm_if_due(agent: &'static Agent, jni: Jni) {
    // Somebody who arms or disarms just now may wait for this thread.
    let Some(control) = agent.try_control() else { return worker::pause() };
    // It may be another audit by now.
    let ends_at = agent.audit().as_deref().and_then(Audit::ends_at);
    if ends_at.is_none_or(|end| end > Instant::now()) {
        return;
    }
    match disarm(agent, &control, jni, Trigger::Duration, None) {
        DisarmOutcome::Over(Err(why)) => say(&why),
        DisarmOutcome::NotYet | DisarmOutcome::NoReport(_) => worker::pause(),
        DisarmOutcome::Over(Ok(_)) | DisarmOutcome::Nothing => {}
    }
}
