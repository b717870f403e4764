//! Who acts: an id for each thread, platform or virtual, and whether it only reclaims garbage.
//!
//! Decided once per thread, from the outermost frames of its stack, never from its name: anybody may call a
//! thread "Finalizer". Invariant: an id is given to one thread only.

use super::agent::Agent;
use super::env::{Jni, Result, jlong, jmethodID, jobject, jvmtiError};
use crate::event::{Actor, Role, ThreadId};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);

#[derive(Clone, Copy)]
enum Known {
    Nothing,
    Platform(Actor),
    /// Carries virtual threads: who acts is to be asked each time.
    Carrier,
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static KNOWN: Cell<Known> = const { Cell::new(Known::Nothing) };
}

/// Marks the current thread as inside a hook. False if it is already.
#[inline]
pub(super) fn enter() -> bool {
    !INSIDE.replace(true)
}

#[inline]
pub(super) fn leave() {
    INSIDE.set(false);
}

/// The current thread.
#[inline]
pub(super) fn actor(agent: &Agent, jni: Jni) -> Result<Actor> {
    match KNOWN.get() {
        Known::Platform(actor) => Ok(actor),
        Known::Carrier => virtual_actor(agent, jni),
        Known::Nothing => decide(agent, jni),
    }
}

#[cold]
fn decide(agent: &Agent, jni: Jni) -> Result<Actor> {
    let thread = agent.jvmti.current_thread()?;
    let is_virtual = jni.is_virtual(thread);
    jni.delete_local(thread);
    if is_virtual {
        KNOWN.set(Known::Carrier);
        return virtual_actor(agent, jni);
    }
    let actor = Actor { thread: new_id(), role: role(agent, jni)? };
    KNOWN.set(Known::Platform(actor));
    Ok(actor)
}

/// A virtual thread's id and role travel in the tag of its `Thread` object: the native thread below it changes.
fn virtual_actor(agent: &Agent, jni: Jni) -> Result<Actor> {
    let thread = agent.jvmti.current_thread()?;
    let actor = match agent.jvmti.tag(thread)? {
        0 => {
            let actor = Actor { thread: new_id(), role: role(agent, jni)? };
            agent.jvmti.set_tag(thread, tag_of(actor)).map(|()| actor)
        }
        tag => Ok(actor_of(tag)),
    };
    jni.delete_local(thread);
    actor
}

const THREAD_TAG: jlong = 1 << 62;
const RECLAIMER_TAG: jlong = 1 << 61;

fn tag_of(actor: Actor) -> jlong {
    let role = if actor.role == Role::Reclaimer { RECLAIMER_TAG } else { 0 };
    THREAD_TAG | role | jlong::try_from(actor.thread.0).unwrap_or(0)
}

fn actor_of(tag: jlong) -> Actor {
    let role = if tag & RECLAIMER_TAG == 0 { Role::Program } else { Role::Reclaimer };
    Actor { thread: ThreadId((tag & !(THREAD_TAG | RECLAIMER_TAG)).unsigned_abs()), role }
}

/// Whether a freed tag was a thread's, not an instance's.
#[inline]
pub(super) fn is_thread_tag(tag: jlong) -> bool {
    tag & THREAD_TAG != 0
}

fn new_id() -> ThreadId {
    ThreadId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// How far in from the outermost frame a reclaiming thread shows itself: a Cleaner's loop runs below
/// `InnocuousThread.run` and `Thread.run`, or below the `run` of a user's own thread class.
const OUTERMOST: usize = 8;

fn role(agent: &Agent, jni: Jni) -> Result<Role> {
    let count = agent.jvmti.frame_count()?;
    let mut buffer = [const { MaybeUninit::uninit() }; OUTERMOST];
    let skip = (count - OUTERMOST as i32).max(0);
    for frame in agent.jvmti.frames(skip, &mut buffer)? {
        if reclaims(agent, jni, frame.method)? {
            return Ok(Role::Reclaimer);
        }
    }
    Ok(Role::Program)
}

/// `Finalizer$FinalizerThread`, the secondary finalizer of `System.runFinalization` (`Finalizer$2`, by version),
/// the Reference Handler, and the loop of every `Cleaner`. Not `Cleaner.Cleanable.clean()`: that is the program's call.
fn reclaims(agent: &Agent, jni: Jni, method: jmethodID) -> Result<bool> {
    let class = agent.jvmti.declaring_class(method)?;
    let signature = agent.jvmti.class_signature(class);
    jni.delete_local(class);
    let signature = signature?;
    Ok(signature.starts_with("Ljava/lang/ref/Finalizer")
        || signature == "Ljava/lang/ref/Reference$ReferenceHandler;"
        || signature == "Ljdk/internal/ref/CleanerImpl;" && agent.jvmti.method_name(method)? == "run")
}

/// The current thread's name; a virtual one often has none.
pub(super) fn name(agent: &Agent, jni: Jni) -> std::result::Result<String, jvmtiError> {
    let thread: jobject = agent.jvmti.current_thread()?;
    let name = agent.jvmti.thread_name(jni, thread);
    jni.delete_local(thread);
    let name = name?;
    Ok(if name.is_empty() { "(unnamed)".into() } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_id_and_role_and_are_no_instance_s() {
        for role in [Role::Program, Role::Reclaimer] {
            let actor = Actor { thread: ThreadId(123_456), role };
            let tag = tag_of(actor);
            assert_eq!(actor_of(tag), actor);
            assert!(is_thread_tag(tag) && tag > 0);
        }
        assert!(!is_thread_tag(1 << 40));
    }
}
