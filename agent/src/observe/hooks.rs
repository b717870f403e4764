//! The natives of the helper class that audit: a constructor returned, `end()` begins.
//!
//! They find out which instance, which stack and who, and tell the session. Invariant: once a stack was seen,
//! they neither allocate, nor handle strings, nor take a lock that all threads share.

use crate::observe::capture::{self, Buffer};
use crate::observe::{adoption, guard, threads};
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::classes::{Classes, Life};
use crate::sys::allocator;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jclass, jobject, jvmtiError};
use jvmti_bindings::sys::jni::JNIEnv;
use std::mem::MaybeUninit;
use zaudit_core::model::{Actor, Kind, OutOfMemory, Role, SiteId, Stack, StackKey, ThreadId};

/// `zaudit.Hooks.created(Object)`: before each return of a constructor.
pub(crate) extern "system" fn created(env: *mut JNIEnv, _class: jclass, stream: jobject) {
    guard::hook(|agent, audit| {
        // SAFETY: the JVM hands its own environment of this thread to a native method.
        let jni = unsafe { Jni::new(env) };
        jni.check_exceptions();
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::created(jni, agent.classes.get().map(|classes| classes.inflater));
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("created");
        if allocator::is_exhausted() {
            return agent.uncounted();
        }
        if let Err(error) = on_created(agent, audit, jni, stream) {
            audit.session.dropped(reason("constructor", error));
        }
    });
}

/// `zaudit.Hooks.ended(Object)`: at the entry of `end()`.
pub(crate) extern "system" fn ended(env: *mut JNIEnv, _class: jclass, stream: jobject) {
    guard::hook(|agent, audit| {
        // SAFETY: the JVM hands its own environment of this thread to a native method.
        let jni = unsafe { Jni::new(env) };
        jni.check_exceptions();
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::ended();
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("ended");
        if let Err(error) = on_ended(agent, audit, jni, stream) {
            audit.session.dropped(reason("end()", error));
        }
    });
}

fn on_created(agent: &Agent, audit: &Audit, jni: Jni, stream: jobject) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let kind = classes.kind(jni, stream);
    let thread = threads::id(agent, audit.jvmti, jni)?;
    let site = site(
        (agent, audit, classes, jni),
        |key| audit.session.site(kind, key),
        || subclass(agent, audit, jni, kind.class(), stream),
        |key, stack| audit.session.learn(kind, key, stack),
        // Its instances are counted all the same.
        || audit.session.unlearned(kind),
    )?;
    let id = audit.session.id(thread);
    let wants_name =
        adoption::tag_created(audit, stream, id, || audit.session.created(id, site, thread, agent.now()))?;
    if wants_name && !allocator::is_pressed() {
        match threads::name(agent, jni) {
            Ok(name) => audit.session.name_thread(site, name),
            Err(_) => audit.session.unreadable("a thread's name could not be read"),
        }
    }
    Ok(())
}

fn on_ended(agent: &Agent, audit: &Audit, jni: Jni, stream: jobject) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    // An end by an unknown thread is still an end: without it the instance would be called a leak.
    let mut actor = threads::actor(agent, audit.jvmti, jni).unwrap_or_else(|_| {
        audit.session.unreadable("a thread that called end() could not be identified");
        Actor { thread: ThreadId::NOBODY, role: Role::Program }
    });
    let Some(id) = adoption::tag_ending(agent, audit, jni, stream)? else {
        // JDK 8's finalizer calls end() on every instance, also on those that were ended long ago.
        if actor.role == Role::Program {
            let kind = classes.kind(jni, stream);
            match classes.life(jni, kind, stream) {
                Some(Life::Open) => audit.session.ended_unknown(kind),
                Some(Life::Ended | Life::Unborn) => on_ended_again(agent, audit, classes, jni, kind)?,
                None => audit.session.unreadable("a stream's state could not be read"),
            }
        }
        return Ok(());
    };
    if actor.role == Role::Reclaimer && threads::in_stream_finalizer(agent, jni)? {
        actor.role = Role::StreamFinalizer;
    }
    let first = audit.session.ended(id, actor, agent.now());
    audit.jvmti.set_tag(stream, 0)?;
    if first {
        return Ok(());
    }
    on_ended_again(agent, audit, classes, jni, classes.kind(jni, stream))
}

fn on_ended_again(agent: &Agent, audit: &Audit, classes: &Classes, jni: Jni, kind: Kind) -> Result<()> {
    let double_end = site(
        (agent, audit, classes, jni),
        |key| audit.session.double_end(kind, key),
        || None,
        |key, stack| audit.session.learn_double_end(kind, key, stack),
        || Err(OutOfMemory),
    )?;
    audit.session.ended_again(double_end);
    Ok(())
}

/// How often a stack is captured anew because a class was redefined while its names were read.
const TRIES: usize = 4;

/// The site of the stack that the current thread is on. `unlearned` gives one where there is no memory for a new stack.
#[inline]
fn site(
    (agent, audit, classes, jni): (&Agent, &Audit, &Classes, Jni),
    known: impl Fn(StackKey) -> Option<SiteId>,
    subclass: impl Fn() -> Option<String>,
    learn: impl FnOnce(StackKey, Stack) -> std::result::Result<SiteId, OutOfMemory>,
    unlearned: impl FnOnce() -> std::result::Result<SiteId, OutOfMemory>,
) -> Result<SiteId> {
    let mut buffer: Buffer = [const { MaybeUninit::uninit() }; _];
    let mut tries = TRIES;
    loop {
        let version = audit.redefinitions.version(jni, classes.redefined);
        let raw = capture::capture(agent.jvmti, audit.options.depth, version, &mut buffer)?;
        if let Some(site) = known(raw.key) {
            return Ok(site);
        }
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("learn");
        let stack = capture::resolve(agent, audit, jni, &raw, subclass());
        tries -= 1;
        // A method's id may have passed to a new version in between, whose lines are others.
        if tries == 0 || audit.redefinitions.version(jni, classes.redefined) == version {
            let learnt = stack.map_or(Err(OutOfMemory), |stack| learn(raw.key, stack));
            return learnt.or_else(|OutOfMemory| unlearned()).map_err(|_| jvmtiError::OUT_OF_MEMORY);
        }
    }
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
fn reason(what: &'static str, error: crate::sys::jvmti::jvmtiError) -> &'static str {
    use crate::sys::jvmti::jvmtiError as E;
    match (what, error) {
        // After VMDeath, or on a thread that the JVM is taking down.
        (_, E::WRONG_PHASE) => "the JVM was ending",
        (_, E::OUT_OF_MEMORY) => "the process had no memory left for it",
        (_, E::UNATTACHED_THREAD | E::THREAD_NOT_ALIVE | E::INVALID_THREAD) => "its thread was ending",
        ("constructor", _) => "a constructor call could not be followed",
        _ => "an end() could not be followed",
    }
}
