//! The natives of the helper class: a constructor returned, `end()` begins, the JVM is about to end.
//!
//! They find out which instance, which stack and who, and tell the session. Invariant: once a stack was seen,
//! the first two neither allocate, handle strings or take a lock that all threads share.

use super::agent::Agent;
use super::audit::Audit;
use super::capture::{self, Buffer, Raw};
use super::classes::Life;
use super::env::{Result, jclass, jobject, jvmtiError};
use super::jni::Jni;
use super::{guard, publish, reserve, search, thread};
use crate::event::{Kind, OutOfMemory, Role, SiteId};
use jvmti_bindings::sys::jni::JNIEnv;
use std::mem::MaybeUninit;

/// `zaudit.Hooks.created(Object)`: before each return of a constructor.
pub(super) extern "system" fn created(env: *mut JNIEnv, _class: jclass, stream: jobject) {
    guard::hook(|agent, audit| {
        // SAFETY: the JVM hands its own environment of this thread to a native method.
        let jni = unsafe { Jni::new(env) };
        jni.check_exceptions();
        #[cfg(feature = "fault-injection")]
        super::fault::created(jni);
        #[cfg(feature = "fault-injection")]
        let _stage = super::fault::memory("created");
        if let Err(error) = on_created(agent, audit, jni, stream) {
            audit.session.dropped(reason("constructor", error));
        }
    });
}

/// `zaudit.Hooks.ended(Object)`: at the entry of `end()`.
pub(super) extern "system" fn ended(env: *mut JNIEnv, _class: jclass, stream: jobject) {
    guard::hook(|agent, audit| {
        // SAFETY: the JVM hands its own environment of this thread to a native method.
        let jni = unsafe { Jni::new(env) };
        jni.check_exceptions();
        #[cfg(feature = "fault-injection")]
        super::fault::ended();
        #[cfg(feature = "fault-injection")]
        let _stage = super::fault::memory("ended");
        if let Err(error) = on_ended(agent, audit, jni, stream) {
            audit.session.dropped(reason("end()", error));
        }
    });
}

/// `zaudit.Hooks.ending(Object)`: the JVM is about to end.
pub(super) extern "system" fn ending(env: *mut JNIEnv, _class: jclass, _null: jobject) {
    guard::hook(|agent, audit| {
        // SAFETY: the JVM hands its own environment of this thread to a native method.
        publish::ending(agent, audit, unsafe { Jni::new(env) });
    });
}

fn on_created(agent: &Agent, audit: &Audit, jni: Jni, stream: jobject) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let kind = classes.kind(jni, stream);
    let thread = thread::id(agent, audit.jvmti, jni)?;
    let mut buffer: Buffer = [const { MaybeUninit::uninit() }; _];
    let raw = capture::capture(agent.jvmti, audit.options.depth, &mut buffer)?;
    let site = match audit.session.site(kind, raw.key) {
        Some(site) => site,
        None => learn(agent, audit, jni, kind, &raw, stream)?,
    };
    let id = audit.session.id(thread);
    let wants_name =
        search::tag_created(audit, stream, id, || audit.session.created(id, site, thread, agent.now()))?;
    if wants_name && !reserve::is_pressed() {
        match thread::name(agent, jni) {
            Ok(name) => audit.session.name_thread(site, name),
            Err(_) => audit.session.unreadable("a thread's name could not be read"),
        }
    }
    Ok(())
}

fn on_ended(agent: &Agent, audit: &Audit, jni: Jni, stream: jobject) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let mut actor = thread::actor(agent, audit.jvmti, jni)?;
    let Some(id) = search::tag_ending(agent, audit, jni, stream)? else {
        // JDK 8's finalizer calls end() on every instance, also on those that were ended long ago.
        if actor.role == Role::Program {
            let kind = classes.kind(jni, stream);
            match classes.life(jni, kind, stream) {
                Some(Life::Open) => audit.session.ended_unknown(kind),
                Some(Life::Ended | Life::Unborn) => on_ended_again(agent, audit, jni, kind)?,
                None => audit.session.unreadable("a stream's state could not be read"),
            }
        }
        return Ok(());
    };
    if actor.role == Role::Reclaimer && thread::in_stream_finalizer(agent, jni)? {
        actor.role = Role::StreamFinalizer;
    }
    let first = audit.session.ended(id, actor, agent.now());
    audit.jvmti.set_tag(stream, 0)?;
    if first { Ok(()) } else { on_ended_again(agent, audit, jni, classes.kind(jni, stream)) }
}

fn on_ended_again(agent: &Agent, audit: &Audit, jni: Jni, kind: Kind) -> Result<()> {
    let mut buffer: Buffer = [const { MaybeUninit::uninit() }; _];
    let raw = capture::capture(agent.jvmti, audit.options.depth, &mut buffer)?;
    let ender = match audit.session.ender(kind, raw.key) {
        Some(ender) => ender,
        None => {
            let stack = capture::resolve(agent, audit, jni, &raw, None).ok_or(jvmtiError::OUT_OF_MEMORY)?;
            audit.session.learn_ender(kind, raw.key, stack).map_err(no_memory)?
        }
    };
    audit.session.ended_again(ender);
    Ok(())
}

/// The site of a stack that was not seen before.
#[cold]
fn learn(
    agent: &Agent,
    audit: &Audit,
    jni: Jni,
    kind: Kind,
    raw: &Raw<'_>,
    stream: jobject,
) -> Result<SiteId> {
    #[cfg(feature = "fault-injection")]
    let _stage = super::fault::memory("learn");
    let subclass = subclass(agent, audit, jni, kind.class(), stream);
    let learnt = match capture::resolve(agent, audit, jni, raw, subclass) {
        Some(stack) => audit.session.learn(kind, raw.key, stack),
        None => Err(OutOfMemory),
    };
    // Its instances are counted all the same.
    learnt.or_else(|OutOfMemory| audit.session.unlearned(kind)).map_err(no_memory)
}

fn no_memory(_: OutOfMemory) -> jvmtiError {
    jvmtiError::OUT_OF_MEMORY
}

/// The instance's class where it is not the audited one itself.
fn subclass(agent: &Agent, audit: &Audit, jni: Jni, audited: &str, stream: jobject) -> Option<String> {
    let class = jni.class_of(stream);
    let name = capture::class_name(agent.jvmti, class);
    jni.delete_local(class);
    match name {
        Ok(name) => (name.strip_prefix("java.util.zip.") != Some(audited)).then_some(name),
        Err(_) => {
            audit.session.unreadable("a stream's class could not be read");
            None
        }
    }
}

/// The JVM's refusal as a reason for `health`: few words, so that they can be counted.
fn reason(what: &'static str, error: super::env::jvmtiError) -> &'static str {
    use super::env::jvmtiError as E;
    match (what, error) {
        // After VMDeath, or on a thread that the JVM is taking down.
        (_, E::WRONG_PHASE) => "the JVM was ending",
        (_, E::OUT_OF_MEMORY) => "the process had no memory left for it",
        (_, E::UNATTACHED_THREAD | E::THREAD_NOT_ALIVE | E::INVALID_THREAD) => "its thread was ending",
        ("constructor", _) => "a constructor call could not be followed",
        _ => "an end() could not be followed",
    }
}
