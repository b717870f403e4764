//! The events of an audit's own JVMTI environment: classes loaded or redefined, instances freed,
//! and GC pauses.
//!
//! Invariant: what the JVM may call during a GC does one small thing. ObjectFree pushes onto a
//! queue, and the events of a pause change a number.

use crate::observe::{guard, stack};
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::classes::Classes;
use crate::state::context::Context;
use crate::state::tags;
use crate::sys::interposer;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Jvmti, Result, jclass, jint, jlong, jobject};
use crate::sys::posix::say;
use jvmti_bindings::sys::jni::JNIEnv;
use jvmti_bindings::sys::jvmti::{
    JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, JVMTI_EVENT_GARBAGE_COLLECTION_FINISH,
    JVMTI_EVENT_GARBAGE_COLLECTION_START, jvmtiCapabilities, jvmtiEnv, jvmtiEventCallbacks,
};
use std::ffi::{CStr, c_char, c_uchar};
use zaudit_instrument as instrument;

/// The capabilities of an audit's environment.
pub(crate) fn capabilities() -> jvmtiCapabilities {
    let mut wanted = jvmtiCapabilities::default();
    wanted.set_can_tag_objects(true);
    wanted.set_can_generate_object_free_events(true);
    wanted.set_can_retransform_classes(true);
    wanted.set_can_generate_all_class_hook_events(true);
    wanted
}

/// The event callbacks of an audit's environment.
pub(crate) fn callbacks() -> jvmtiEventCallbacks {
    let mut callbacks = jvmtiEventCallbacks::default();
    callbacks.ClassFileLoadHook = Some(on_class_file);
    callbacks.ObjectFree = Some(on_object_free);
    callbacks.GarbageCollectionStart = Some(on_pause_begins);
    callbacks.GarbageCollectionFinish = Some(on_pause_ends);
    callbacks
}

/// Makes an audit's environment report GC pauses.
pub(crate) fn report_pauses(jvmti: Jvmti) -> Result<()> {
    let mut wanted = jvmtiCapabilities::default();
    wanted.set_can_generate_garbage_collection_events(true);
    jvmti.add_capabilities(&wanted)?;
    jvmti.notify(JVMTI_EVENT_GARBAGE_COLLECTION_START, true)?;
    jvmti.notify(JVMTI_EVENT_GARBAGE_COLLECTION_FINISH, true)
}

extern "system" fn on_pause_begins(_jvmti: *mut jvmtiEnv) {
    guard::entry(stack::pause_begins);
}

extern "system" fn on_pause_ends(_jvmti: *mut jvmtiEnv) {
    guard::entry(stack::pause_ends);
}

extern "system" fn on_class_file(
    jvmti: *mut jvmtiEnv,
    env: *mut JNIEnv,
    redefined: jclass,
    loader: jobject,
    name: *const c_char,
    _domain: jobject,
    length: jint,
    bytes: *const c_uchar,
    new_length: *mut jint,
    new_bytes: *mut *mut c_uchar,
) {
    // Every loaded class passes here; nearly all of them return after two null checks.
    if redefined.is_null() && !loader.is_null() {
        return;
    }
    // SAFETY: the JVM passes a NUL-terminated string, or null.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) });
    if !redefined.is_null() {
        // SAFETY: the JVM hands its own environment of this thread to a callback.
        guard::entry(|| on_redefinition(unsafe { Jni::new(env) }, redefined, name));
    }
    let Some(name) = name else { return };
    let Some(target) = instrument::targets().find(|target| target.as_bytes() == name.to_bytes())
    else {
        return;
    };
    guard::entry(|| {
        let Some(agent) = Agent::get() else { return };
        let Some(audit) = agent.hold_audit() else { return };
        // In JDK 9 and later, `ZipFile` itself lends nothing and has no hooks.
        let Some(class) = agent.classes.get().and_then(|classes| classes.of_target(target)) else {
            return;
        };
        // A class of this name that another loader has loaded.
        // SAFETY: the JVM passes its own environment of this thread to a callback.
        if !loader.is_null() && !unsafe { Jni::new(env) }.same(redefined, class) {
            return;
        }
        // The environment of an audit that has ended, in which hooks are being removed.
        if !audit.jvmti.is(jvmti) {
            return;
        }
        let audit = &audit;
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: the JVM passes `length` bytes, which are valid during this call.
        let bytes = unsafe { std::slice::from_raw_parts(bytes, length) };
        if let Some(rewritten) = rewrite(audit, target, bytes)
            && let Ok(size) = jint::try_from(rewritten.len())
        {
            match audit.jvmti.copy_out(&rewritten) {
                // SAFETY: both are out parameters of this callback.
                Ok(copy) => unsafe {
                    *new_length = size;
                    *new_bytes = copy;
                },
                Err(error) => {
                    let why = format!("{target}: JVMTI Allocate failed: {error}");
                    missing(audit, target, vec![why]);
                }
            }
        }
    });
}

/// `class` gets a new version; or it had one, and the class file is of another name: a thread names
/// the class that it redefined last also with the next one that it loads (HotSpot 8 to 28), such as
/// `Module$ReflectionData` within the redefinition.
fn on_redefinition(jni: Jni, class: jclass, name: Option<&CStr>) {
    let Some(agent) = Agent::get() else { return };
    let (Some(audit), Some(classes)) = (agent.hold_audit(), agent.classes.get()) else { return };
    let is_loaded = |name: &CStr| {
        let signature = audit.jvmti.class_signature(class).ok()?;
        let own = signature.strip_prefix('L')?.strip_suffix(';')?;
        Some(own.as_bytes() != name.to_bytes())
    };
    if name.and_then(is_loaded).unwrap_or(false) {
        return;
    }
    jni.check_exceptions();
    if classes.redefined.is_none() {
        audit
            .session
            .record_unreadable("classes were redefined: line numbers may be from an older version");
    }
    audit.redefinitions.begins(jni, classes.redefined, class);
}

/// Switches ClassFileLoadHook off again if it is not needed before another agent changes a class:
/// while it is on, the JVM reads the class file of each class that comes from an archive.
pub(crate) fn rest(Context { agent, audit, jni }: Context<'_>) {
    // Changes that began before the places were taken are not known. Before the program begins
    // there are none.
    if agent.has_begun() || !interposer::covers(audit.jvmti) {
        return;
    }
    let others_change_classes = agent.others_change_classes();
    if *others_change_classes {
        return;
    }
    match audit.jvmti.notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, false) {
        Ok(()) => audit.rest(versions(agent, jni)),
        Err(error) => say(&format!("cannot disable the event ClassFileLoadHook: {error}")),
    }
}

/// Switches ClassFileLoadHook off again after hooks were placed in one more class.
///
/// While another agent is about to change classes, the event has to be on. If that begins at this
/// moment, the hooks of a class that it changed may be lost, and all are placed again. No lock is
/// held meanwhile: a debugger may suspend this thread in a call of the JVM.
pub(crate) fn rest_again(
    Context { agent, audit, jni }: Context<'_>,
    classes: &Classes,
) -> Result<()> {
    if *agent.others_change_classes() {
        return Ok(());
    }
    audit.jvmti.notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, false)?;
    if !*agent.others_change_classes() {
        audit.rest(versions(agent, jni));
        return Ok(());
    }
    audit.jvmti.notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, true)?;
    let hooked: Vec<jclass> =
        instrument::targets().filter_map(|target| classes.of_target(target)).collect();
    interposer::retransform(audit.jvmti, &hooked)
}

/// How many versions the classes with hooks have had so far, in all.
pub(crate) fn versions(agent: &Agent, jni: Jni) -> Option<jint> {
    let classes = agent.classes.get()?;
    let field = classes.redefined?;
    let all = instrument::targets().filter_map(|target| classes.of_target(target));
    Some(all.map(|class| jni.int_field(class, field)).sum())
}

/// Looks whether a class with hooks was changed while ClassFileLoadHook was off: by an agent that
/// had copied the JVM's functions before their places were taken.
pub(crate) fn look_for_changes(Context { agent, audit, jni }: Context<'_>) {
    let Some(before) = audit.at_rest() else { return };
    let now = versions(agent, jni);
    if now != Some(before) && !*agent.others_change_classes() {
        audit.session.record_unreadable(
            "another agent has changed an audited class unseen: hooks may be missing since",
        );
        audit.rest(now);
    }
}

/// An agent is about to change classes: if it is another one, ClassFileLoadHook is needed, and
/// stays on.
pub(crate) fn before_change(env: *mut jvmtiEnv) {
    guard::entry(|| {
        #[cfg(feature = "fault-injection")]
        if crate::sys::fault_injection::changes_are_unseen() {
            return;
        }
        let Some(agent) = Agent::get() else { return };
        let audit = agent.hold_audit();
        if audit.as_ref().is_some_and(|audit| audit.jvmti.is(env)) {
            return;
        }
        // Waits for `rest`. The lock is not held while the JVM is called: a debugger may suspend
        // this thread there.
        *agent.others_change_classes() = true;
        if let Some(audit) = audit
            && let Err(error) = audit.jvmti.notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, true)
            && !agent.is_shut_down()
        {
            audit.session.record_unreadable("changes of classes by another agent were not seen");
            say(&format!("cannot enable the event ClassFileLoadHook: {error}"));
        }
    });
}

extern "system" fn on_object_free(_jvmti: *mut jvmtiEnv, tag: jlong) {
    // May be called during a GC: a push onto a queue, nothing else.
    let Some(id) = tags::instance(tag) else { return };
    #[cfg(feature = "fault-injection")]
    let _stage = crate::sys::fault_injection::memory("freed");
    guard::entry(|| {
        if let Some(agent) = Agent::get() {
            agent.push_freed(id);
        }
    });
}

/// The rewritten bytes of a class, if it has hooks.
fn rewrite(audit: &Audit, target: &'static str, bytes: &[u8]) -> Option<Vec<u8>> {
    match instrument::instrument(target, bytes, audit.identity()) {
        Ok(done) => {
            let placed = done.placed.iter().map(|hook| hook.callback).collect();
            let is_whole = audit.set_placed(target, placed);
            missing(audit, target, done.missing);
            is_whole.then_some(done.bytes)
        }
        Err(refusal) => {
            audit.set_placed(target, Vec::new());
            missing(audit, target, vec![format!("{target}: {refusal}")]);
            None
        }
    }
}

/// Reports hooks of a class that are not in place, with the class name as Java writes it. While the
/// hooks of an audit by address are being placed, a failure may lead to the hooks by tag instead.
pub(crate) fn missing(audit: &Audit, target: &str, hooks: Vec<String>) {
    let class = target.replace('/', ".");
    let hooks: Vec<String> = hooks.iter().map(|hook| hook.replacen(target, &class, 1)).collect();
    if audit.identity_is_certain() {
        say_missing(&hooks);
    }
    audit.session.set_missing_hooks(&class, hooks);
}

/// Says which hooks are not in place.
pub(crate) fn say_missing<'a>(hooks: impl IntoIterator<Item = &'a String>) {
    for hook in hooks {
        say(&format!("not hooked: {hook}"));
    }
}
