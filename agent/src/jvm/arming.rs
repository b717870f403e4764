//! How an audit begins and ends: the helper class, the events, the rewriting of the classes, and all of it undone.
//!
//! The same way at the JVM's start and on an attach, under load. Invariant: an audit begins whole or not at all, but
//! for single hooks, which the report's `health` names; and it ends with the original bytecode.

use super::agent::Agent;
use super::audit::Audit;
use super::classes::Classes;
use super::env::jclass;
use super::jni::Jni;
use super::os::{say, take_signal};
use super::preparation::Expected;
use super::{entry, hooks, publish, search, worker};
use zaudit_core::model::Trigger;
use zaudit_instrument::{self as instrument, Callback};
use zaudit_core::options::Options;
use jvmti_bindings::sys::jni::JNINativeMethod;
use jvmti_bindings::sys::jvmti::{
    JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, JVMTI_EVENT_DATA_DUMP_REQUEST, JVMTI_EVENT_OBJECT_FREE,
    jvmtiCapabilities,
};
use std::ffi::{CStr, CString};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

/// Two audits at once would count everything twice.
const UNDER_WAY: &str = "an audit is under way; disarm it first, or reset its counts";

const OVER: &str = "the JVM is ending, or the agent has failed before";

/// Room for a few local references.
const ROOM: usize = 64;

/// Begins an audit.
pub(super) fn arm(
    agent: &'static Agent,
    _control: &MutexGuard<'_, ()>,
    jni: Jni,
    options: &Options,
    expected: Expected,
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
pub(super) fn may_begin(agent: &Agent) -> Result<(), String> {
    match () {
        () if agent.is_over() => Err(OVER.into()),
        () if agent.audit().is_some() => Err(UNDER_WAY.into()),
        () => Ok(()),
    }
}

/// Looks up once what every audit and the agent's thread need.
pub(super) fn prepare(agent: &Agent, jni: Jni) -> Result<(), String> {
    if agent.classes.get().is_none() {
        let classes = jni
            .with_locals(ROOM, || define_helper(jni).and_then(|helper| Classes::find(jni, helper)))
            .unwrap_or_else(|| Err("the JVM has no memory left".into()))?;
        agent.classes.get_or_init(|| classes);
    }
    Ok(())
}

fn begin(agent: &'static Agent, jni: Jni, options: &Options, expected: Expected) -> Result<(), String> {
    let error = |what: &'static str| move |error| format!("{what}: {error}");
    prepare(agent, jni)?;
    let jvmti = agent.new_environment()?;
    let audit = Arc::new(Audit::new(jvmti, options.clone(), expected, agent.now(), !agent.has_begun()));
    jvmti.add_capabilities(&capabilities()).map_err(error("the JVM refuses what is needed"))?;
    jvmti.set_callbacks(&entry::audit_callbacks()).map_err(error("no callbacks"))?;
    // The hook stays on: whenever another agent has these classes rewritten, the JVM begins anew from the
    // original bytes, and ours would be lost.
    jvmti.notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, true).map_err(error("no class file hook"))?;
    jvmti.notify(JVMTI_EVENT_OBJECT_FREE, true).map_err(error("no free events"))?;
    if options.adopt {
        audit.begin_search();
    }
    agent.bell().hush();
    // What came for the audit before this one after its last report; it would keep the first of ours from ringing.
    agent.forget_freed();
    agent.begin(Arc::clone(&audit));
    for (target, class) in hooked(agent) {
        if let Err(error) = jvmti.retransform(&[class]) {
            // A JVM that ended meanwhile refuses everything, and its own last words are those that count.
            if agent.is_over() {
                return Err(OVER.into());
            }
            missing(&audit, target, vec![format!("{target}: it could not be rewritten: {error}")]);
        }
    }
    if let Err(why) = worker::start(agent, jni, None) {
        drop(audit);
        drop(end(agent));
        return Err(format!("no thread of our own: {why}"));
    }
    if options.adopt
        && let Err(error) = search::run(agent, &audit, jni)
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

fn capabilities() -> jvmtiCapabilities {
    let mut wanted = jvmtiCapabilities::default();
    wanted.set_can_tag_objects(true);
    wanted.set_can_generate_object_free_events(true);
    wanted.set_can_retransform_classes(true);
    wanted.set_can_generate_all_class_hook_events(true);
    wanted
}

/// The classes that an audit rewrites.
fn hooked(agent: &'static Agent) -> Vec<(&'static str, jclass)> {
    let Some(classes) = agent.classes.get() else { return Vec::new() };
    let class = |target| match target {
        instrument::SHUTDOWN => classes.shutdown,
        instrument::DEFLATER => classes.deflater,
        _ => classes.inflater,
    };
    instrument::targets().map(|target| (target, class(target))).collect()
}

/// The rewritten bytes of a class, where it has hooks.
pub(super) fn rewrite(audit: &Audit, target: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    match instrument::instrument(target, bytes) {
        Ok(done) => {
            missing(audit, target, done.missing);
            Some(done.bytes)
        }
        Err(refusal) => {
            missing(audit, target, vec![format!("{target}: {refusal}")]);
            None
        }
    }
}

/// Tells which hooks of a class are not in place, in the words of Java.
pub(super) fn missing(audit: &Audit, target: &str, hooks: Vec<String>) {
    let class = target.replace('/', ".");
    let hooks: Vec<String> = hooks.iter().map(|hook| hook.replacen(target, &class, 1)).collect();
    for hook in &hooks {
        say(&format!("not hooked: {hook}"));
    }
    audit.session.hooks_missing(&class, hooks);
}

/// What came of disarming.
pub(super) enum Disarmed {
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
pub(super) fn disarm(
    agent: &'static Agent,
    _control: &MutexGuard<'_, ()>,
    jni: Jni,
    trigger: Trigger,
    to: Option<&Options>,
) -> Disarmed {
    let Some(audit) = agent.hold_audit() else { return Disarmed::Nothing };
    let written = match publish::end_of_audit(agent, audit, jni, trigger, to) {
        None => return Disarmed::NotYet,
        Some(Err(why)) => return Disarmed::NoReport(why),
        Some(Ok(written)) => written,
    };
    // A JVM that has ended meanwhile has made its own last report.
    let restored = jni.with_locals(ROOM, || end(agent)).flatten();
    Disarmed::Over(written.and_then(|written| restored.map_or(Ok(written), Err)))
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
    agent.worker.stop(agent.bell());
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
    // (`os::run_periodic_checks`, INTERRUPT_SIGNAL): there it is taken only if the user says so.
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
        native(&ending, hooks::ending as *const ()),
    ];
    if jni.register(class, &natives) {
        Ok(class)
    } else {
        Err("the natives of its helper class could not be registered".into())
    }
}
