//! How an audit begins and ends: the helper class, the events, the class rewriting, and their
//! removal.
//!
//! An audit begins in the same way at the JVM's start and by attach, under load. Invariant: an
//! audit begins completely or not at all, except for single hooks, which the report's `health`
//! names; and it ends with the original bytecode.

use crate::control::reports::EndOfAudit;
use crate::control::worker::Duties;
use crate::control::{preflight, reports, worker};
use crate::observe::{adoption, events, hooks, hooks_by_tag, lending, stack, zipfs};
use crate::state::agent::Agent;
use crate::state::audit::{Audit, Expectations};
use crate::state::classes::Classes;
use crate::state::context::Context;
use crate::sys::interposer;
use crate::sys::jni::{Jni, NativeMethod};
use crate::sys::jvm_flags;
use crate::sys::jvmti::{jclass, jint, jvmtiError};
use crate::sys::posix::{say, take_signal};
use jvmti_bindings::sys::jvmti::{
    JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, JVMTI_EVENT_DATA_DUMP_REQUEST, JVMTI_EVENT_OBJECT_FREE,
};
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};
use zaudit_core::model::Trigger;
use zaudit_core::options::Options;
use zaudit_instrument::{self as instrument, Callback};

/// Two audits at once would count every event twice.
const UNDER_WAY: &str = "an audit is under way; disarm it first, or reset its counts";

const SHUT_DOWN: &str = "the JVM is exiting, or the agent has stopped after an internal error";

const OUT_OF_MEMORY: &str = "the JVM is out of memory";

/// How many local references arming and disarming need at most.
const LOCAL_REFS: usize = 64;

/// Begins an audit.
pub(crate) fn arm(
    agent: &'static Agent,
    _control: &MutexGuard<'_, ()>,
    jni: Jni,
    options: &Options,
    expected: Expectations,
) -> Result<(), String> {
    check_can_arm(agent)?;
    let mut before = None;
    let armed = jni
        .with_locals(LOCAL_REFS, || {
            prepare(agent, jni)?;
            before = events::versions(agent, jni);
            set_up(agent, jni, options, expected)
        })
        .unwrap_or_else(|| Err(OUT_OF_MEMORY.into()));
    // The JVM may have exited meanwhile. The memory goes with the process, as in
    // `Agent::shut_down`.
    if agent.is_shut_down() {
        std::mem::forget(agent.end_audit());
        return Err(SHUT_DOWN.into());
    }
    // What has begun would be an audit without hooks, and would prevent the next one.
    if armed.is_err()
        && let Some(why) = restore(agent, jni, before)
    {
        say(&why);
    }
    armed
}

/// Whether an audit may begin now, or after a delay.
pub(crate) fn check_can_arm(agent: &Agent) -> Result<(), String> {
    match () {
        () if agent.is_shut_down() => Err(SHUT_DOWN.into()),
        () if agent.hold_audit().is_some() => Err(UNDER_WAY.into()),
        () => Ok(()),
    }
}

/// Looks up what every audit and the agent's thread need, once.
pub(crate) fn prepare(agent: &Agent, jni: Jni) -> Result<(), String> {
    if agent.classes.get().is_none() {
        let classes = jni
            .with_locals(LOCAL_REFS, || {
                define_helper(agent, jni).and_then(|helper| Classes::find(jni, helper))
            })
            .unwrap_or_else(|| Err(OUT_OF_MEMORY.into()))?;
        agent.classes.get_or_init(|| classes);
    }
    Ok(())
}

fn set_up(
    agent: &'static Agent,
    jni: Jni,
    options: &Options,
    expected: Expectations,
) -> Result<(), String> {
    let failed = |function: &'static str| move |error| format!("JVMTI {function} failed: {error}");
    let jvmti = agent.new_environment()?;
    interposer::install(agent.jvmti, events::before_change);
    let audit =
        Arc::new(Audit::new(jvmti, options.clone(), expected, agent.now(), !agent.has_begun()));
    jvmti.add_capabilities(&events::capabilities()).map_err(failed("AddCapabilities"))?;
    jvmti.set_callbacks(&events::callbacks()).map_err(failed("SetEventCallbacks"))?;
    // When another agent retransforms these classes, the JVM begins again from the original bytes:
    // our hooks would be lost if this event were off then.
    jvmti
        .notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, true)
        .map_err(failed("SetEventNotificationMode(ClassFileLoadHook)"))?;
    if options.adopt {
        audit.begin_adoption();
    }
    agent.waker().clear();
    // Drops what was freed for the previous audit after its last report: it would suppress the
    // wake-up of our first free.
    agent.forget_freed();
    if let Some(classes) = agent.classes.get() {
        stack::begin(agent, &audit, jni, classes.inflater, || events::report_pauses(jvmti));
    }
    // Early: what sends it as soon as the agent says that it is armed would end the process.
    enable_signal(agent, options);
    agent.begin_audit(Arc::clone(&audit));
    hooked(agent).into_iter().for_each(|(_, class)| interposer::link(jvmti, jni, class));
    place_hooks(agent, &audit)?;
    if let Some(classes) = agent.classes.get() {
        zipfs::find(Context { agent, audit: &audit, jni }, classes);
    }
    events::rest(Context { agent, audit: &audit, jni });
    start_worker(agent, jni, None)
        .map_err(|why| format!("cannot start the agent's thread: {why}"))?;
    if options.adopt
        && let Err(error) = adoption::run(Context { agent, audit: &audit, jni })
    {
        if agent.is_shut_down() {
            return Err(SHUT_DOWN.into());
        }
        audit.session.record_dropped("the search for instances that were already open failed");
        say(&format!("cannot adopt instances that were already open: {error}"));
    }
    if let Err(error) = agent.jvmti.notify(JVMTI_EVENT_DATA_DUMP_REQUEST, true)
        && !agent.is_shut_down()
    {
        say(&format!("cannot enable reports on SIGQUIT: {error}"));
    }
    Ok(())
}

/// Places the hooks: by address, or by tag if not all of those can be placed.
fn place_hooks(agent: &'static Agent, audit: &Arc<Audit>) -> Result<(), String> {
    // The JVM rewrites all classes in one pause: no instance is seen by one hook only.
    let classes: Vec<jclass> = hooked(agent).into_iter().map(|(_, class)| class).collect();
    // Without memory, none would be placed by tag either.
    let place = |classes: &[jclass]| match interposer::retransform(audit.jvmti, classes) {
        Err(jvmtiError::OUT_OF_MEMORY) => Err(OUT_OF_MEMORY),
        placed => Ok(placed),
    };
    let by_address =
        !audit.options.by_tag && place(&classes)?.is_ok() && audit.has_all_by_address();
    if !by_address {
        audit.know_by_tag();
        audit.jvmti.notify(JVMTI_EVENT_OBJECT_FREE, true).map_err(|error| {
            format!("JVMTI SetEventNotificationMode(ObjectFree) failed: {error}")
        })?;
        audit.decide_identity();
        for (target, class) in hooked(agent) {
            if let Err(error) = place(&[class])? {
                // After the JVM's exit every call fails; the message about the exit is the one that
                // matters.
                if agent.is_shut_down() {
                    return Err(SHUT_DOWN.into());
                }
                let why = format!("{target}: JVMTI RetransformClasses failed: {error}");
                events::missing(audit, target, vec![why]);
            }
        }
    }
    if !audit.identity_is_certain() {
        audit.decide_identity();
        events::say_missing(&audit.session.gaps().missing_hooks);
    }
    audit.begin_counting();
    Ok(())
}

/// The classes that an audit rewrites.
fn hooked(agent: &'static Agent) -> Vec<(&'static str, jclass)> {
    let Some(classes) = agent.classes.get() else { return Vec::new() };
    instrument::targets().filter_map(|target| Some((target, classes.of_target(target)?))).collect()
}

/// The result of disarming.
pub(crate) enum DisarmOutcome {
    /// There was no audit.
    NotArmed,
    /// The audit continues: another report takes too long, or the JVM is exiting and writes the
    /// last report itself.
    Busy,
    /// The audit continues, because there is no memory for its last report. Holds the error
    /// message.
    NoReport(String),
    /// The audit has ended. Holds what became of its last report.
    Done(Result<String, String>),
}

/// Writes the last report of the audit and ends it. `to` says where that report goes.
pub(crate) fn disarm(
    agent: &'static Agent,
    _control: &MutexGuard<'_, ()>,
    jni: Jni,
    trigger: Trigger,
    to: Option<&Options>,
) -> DisarmOutcome {
    let Some(audit) = agent.hold_audit() else { return DisarmOutcome::NotArmed };
    let written = match reports::end_of_audit(agent, audit, jni, trigger, to) {
        EndOfAudit::Busy => return DisarmOutcome::Busy,
        EndOfAudit::NoReport(why) => return DisarmOutcome::NoReport(why),
        EndOfAudit::Done(written) => written,
    };
    // A JVM that has exited meanwhile has written its last report itself.
    let restored = restore(agent, jni, None);
    #[cfg(feature = "fault-injection")]
    crate::sys::fault_injection::audit_ended();
    DisarmOutcome::Done(written.and_then(|written| restored.map_or(Ok(written), Err)))
}

/// [`take_down`] with space for local references, if the JVM has it. Without, -Xcheck:jni may warn
/// of them.
fn restore(agent: &'static Agent, jni: Jni, before: Option<jint>) -> Option<String> {
    let take_down = || take_down(agent, jni, before);
    jni.with_locals(LOCAL_REFS, take_down).unwrap_or_else(take_down)
}

/// Removes the audit: hooks, events, thread, tags. Returns an error message if something could not
/// be restored. `before` counts the versions of the classes before hooks were placed: if there are
/// no more, no hook was.
fn take_down(agent: &'static Agent, jni: Jni, before: Option<jint>) -> Option<String> {
    let Some(audit) = agent.end_audit() else {
        // It was not begun yet.
        interposer::remove();
        return None;
    };
    let mut failed = None;
    if let Err(error) = agent.jvmti.notify(JVMTI_EVENT_DATA_DUMP_REQUEST, false) {
        failed = Some(format!("cannot disable reports on SIGQUIT: {error}"));
    }
    // With the event disabled, the JVM begins from the original bytes and calls other agents only.
    let off = audit.jvmti.notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, false);
    let restored = off.map_err(|error| ("SetEventNotificationMode", error)).and_then(|()| {
        let classes: Vec<jclass> = hooked(agent).into_iter().map(|(_, class)| class).collect();
        interposer::retransform(audit.jvmti, &classes)
            .map_err(|error| ("RetransformClasses", error))
    });
    // ObjectFree stays enabled until its environment is disposed: setting its mode may deadlock the
    // JVM (see `sys::object_free`).
    let is_original = || before.is_some() && events::versions(agent, jni) == before;
    if let Err((function, error)) = restored
        && !is_original()
    {
        failed = Some(format!(
            "cannot restore the original bytecode: JVMTI {function} failed: {error}; the hooks do \
             nothing now"
        ));
    }
    interposer::remove();
    agent.worker.stop(agent.waker());
    wait_for_hooks(audit);
    agent.forget_freed();
    failed
}

/// Waits a moment for hooks that are still running, so that tables and tags are gone when the
/// command returns. If that takes longer, the last of the hooks frees them.
fn wait_for_hooks(audit: Arc<Audit>) {
    const HOOK_TIMEOUT: Duration = Duration::from_secs(1);
    let began = Instant::now();
    while Arc::strong_count(&audit) > 1 && began.elapsed() < HOOK_TIMEOUT {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn enable_signal(agent: &Agent, options: &Options) {
    let choice = options.signal;
    let Some(signal) = choice.value else { return };
    // JDK 8 with -Xcheck:jni prints all signal handlers on standard output if SIGUSR1 is not at its
    // default (`posix::run_periodic_checks`, INTERRUPT_SIGNAL). There we take it only if the user
    // names it.
    if !choice.explicit && agent.jvmti.release() == 8 && jvm_flags::may_have("-Xcheck:jni") {
        return;
    }
    if let Err(why) = take_signal(signal)
        && choice.explicit
    {
        say(&format!("cannot enable reports on SIG{}: {why}; use SIGQUIT instead", signal.name));
    }
}

/// Defines the helper class, once, and returns a local reference to it.
fn define_helper(agent: &Agent, jni: Jni) -> Result<jclass, String> {
    // By an attempt whose later steps have failed.
    static DEFINED: AtomicBool = AtomicBool::new(false);
    let c = |text: &str| CString::new(text).map_err(|error| error.to_string());
    let name = c(instrument::HELPER_CLASS)?;
    let class = if DEFINED.load(Ordering::Acquire) {
        let thread = agent
            .jvmti
            .current_thread()
            .map_err(|error| format!("JVMTI GetCurrentThread failed: {error}"))?;
        let name = c(&instrument::HELPER_CLASS.replace('/', "."))?;
        let class = jni.boot_class(jni.class_of(thread), &name);
        class.ok_or("cannot find the helper class: the JVM is out of memory")?
    } else {
        jni.define_boot_class(&name, &instrument::helper_class()).ok_or(
            "cannot define the helper class; another copy of libzaudit.so is loaded in this JVM",
        )?
    };
    DEFINED.store(true, Ordering::Release);
    let registered = jni.register(
        class,
        &Callback::ALL.map(|callback| NativeMethod {
            name: callback.method(),
            descriptor: callback.descriptor(),
            function: native(callback),
        }),
    );
    if registered {
        Ok(class)
    } else {
        Err("JNI RegisterNatives failed for the helper class".into())
    }
}

/// The function behind a callback.
fn native(callback: Callback) -> *const () {
    match callback {
        Callback::InflaterCreated => hooks::inflater_created as *const (),
        Callback::DeflaterCreated => hooks::deflater_created as *const (),
        Callback::InflaterEnded => hooks::inflater_ended as *const (),
        Callback::DeflaterEnded => hooks::deflater_ended as *const (),
        Callback::InflaterEndedAgain => hooks::inflater_ended_again as *const (),
        Callback::DeflaterEndedAgain => hooks::deflater_ended_again as *const (),
        Callback::Created => hooks_by_tag::created as *const (),
        Callback::Ended => hooks_by_tag::ended as *const (),
        Callback::Lent => lending::lent as *const (),
        Callback::GivenBack => lending::given_back as *const (),
        Callback::ProviderCreated => zipfs::provider_created as *const (),
        Callback::Ending => reports::ending as *const (),
    }
}

/// What the agent's thread does when it wakes.
const DUTIES: Duties =
    Duties { arm_if_due, disarm_if_due, report: reports::on_demand, snapshot: reports::snapshot };

/// Starts the agent's thread unless it runs. `waiting` is the pending audit: when, and its options.
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
    // Until we hold the lock, another thread may change the time or cancel the audit.
    let Some(control) = agent.try_control() else { return worker::pause() };
    if !is_due() {
        return;
    }
    let Some(options) = agent.worker.take_waiting() else { return };
    let (expected, problems) = preflight::load_inputs(&options);
    problems.iter().for_each(|line| say(line));
    if let Err(why) = arm(agent, &control, jni, &options, expected) {
        agent.worker.cancel();
        say(&format!("auditing is disabled: {why}"));
    }
}

fn disarm_if_due(agent: &'static Agent, jni: Jni) {
    // A thread that holds the lock to arm or disarm may wait for this thread.
    let Some(control) = agent.try_control() else { return worker::pause() };
    // The audit may be another one by now.
    let ends_at = agent.hold_audit().as_deref().and_then(Audit::ends_at);
    if ends_at.is_none_or(|end| end > Instant::now()) {
        return;
    }
    match disarm(agent, &control, jni, Trigger::Duration, None) {
        DisarmOutcome::Done(Err(why)) => say(&why),
        DisarmOutcome::Busy | DisarmOutcome::NoReport(_) => worker::pause(),
        DisarmOutcome::Done(Ok(_)) | DisarmOutcome::NotArmed => {}
    }
}
