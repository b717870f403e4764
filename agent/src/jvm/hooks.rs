//! The two natives of the helper class: a constructor returned, `end()` begins.
//!
//! They find out which instance, which stack and who, and tell the session. Invariant: once a stack was seen,
//! neither allocates, handles strings or takes a lock that all threads share.

use super::agent::Agent;
use super::capture::{self, Buffer};
use super::env::{Jni, Result, jclass, jlong, jobject};
use super::{guard, thread};
use crate::event::{InstanceId, Role};
use jvmti_bindings::sys::jni::JNIEnv;
use std::mem::MaybeUninit;

/// `zaudit.Hooks.created(Object)`: before each return of a constructor.
pub(super) extern "system" fn created(env: *mut JNIEnv, _class: jclass, stream: jobject) {
    guard::hook(|agent| {
        // SAFETY: the JVM hands its own environment of this thread to a native method.
        let jni = unsafe { Jni::new(env) };
        #[cfg(feature = "fault-injection")]
        super::fault::created(jni);
        if let Err(error) = on_created(agent, jni, stream) {
            agent.session.dropped(reason("constructor", error));
        }
    });
}

/// `zaudit.Hooks.ended(Object)`: at the entry of `end()`.
pub(super) extern "system" fn ended(env: *mut JNIEnv, _class: jclass, stream: jobject) {
    guard::hook(|agent| {
        // SAFETY: the JVM hands its own environment of this thread to a native method.
        let jni = unsafe { Jni::new(env) };
        #[cfg(feature = "fault-injection")]
        super::fault::ended();
        if let Err(error) = on_ended(agent, jni, stream) {
            agent.session.dropped(reason("end()", error));
        }
    });
}

fn on_created(agent: &Agent, jni: Jni, stream: jobject) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let kind = classes.kind(jni, stream);
    let thread = thread::id(agent, jni)?;
    let mut buffer: Buffer = [const { MaybeUninit::uninit() }; _];
    let raw = capture::capture(agent.jvmti, agent.options.depth, &mut buffer)?;
    let site = match agent.session.site(kind, raw.key) {
        Some(site) => site,
        None => {
            let stack = capture::resolve(agent, jni, &raw, subclass(agent, jni, kind.class(), stream));
            agent.session.learn(kind, raw.key, stack)
        }
    };
    let id = agent.session.id(thread);
    agent.jvmti.set_tag(stream, id.0.cast_signed())?;
    if agent.session.created(id, site, thread, agent.now()) {
        match thread::name(agent, jni) {
            Ok(name) => agent.session.name_thread(site, name),
            Err(_) => agent.session.unreadable("a thread's name could not be read"),
        }
    }
    Ok(())
}

fn on_ended(agent: &Agent, jni: Jni, stream: jobject) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let mut actor = thread::actor(agent, jni)?;
    let tag: jlong = agent.jvmti.tag(stream)?;
    if tag == 0 {
        // JDK 8's finalizer calls end() on every instance, also on those that were ended long ago.
        if actor.role == Role::Program {
            let kind = classes.kind(jni, stream);
            match classes.open(jni, kind, stream) {
                Some(true) => agent.session.ended_unknown(kind),
                Some(false) => agent.session.ended_again(kind),
                None => agent.session.unreadable("a stream's state could not be read"),
            }
        }
        return Ok(());
    }
    let kind = classes.kind(jni, stream);
    if actor.role == Role::Reclaimer && thread::in_stream_finalizer(agent, jni)? {
        actor.role = Role::StreamFinalizer;
    }
    agent.session.ended(kind, InstanceId(tag.cast_unsigned()), actor, agent.now());
    agent.jvmti.set_tag(stream, 0)
}

/// The instance's class where it is not the audited one itself.
fn subclass(agent: &Agent, jni: Jni, audited: &str, stream: jobject) -> Option<String> {
    let class = jni.class_of(stream);
    let name = capture::class_name(agent.jvmti, class);
    jni.delete_local(class);
    match name {
        Ok(name) => (name.strip_prefix("java.util.zip.") != Some(audited)).then_some(name),
        Err(_) => {
            agent.session.unreadable("a stream's class could not be read");
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
        (_, E::OUT_OF_MEMORY) => "the JVM had no memory left for it",
        (_, E::UNATTACHED_THREAD | E::THREAD_NOT_ALIVE | E::INVALID_THREAD) => "its thread was ending",
        ("constructor", _) => "a constructor call could not be followed",
        _ => "an end() could not be followed",
    }
}
