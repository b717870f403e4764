//! The native methods of the helper class: a constructor returned, `end()` begins.
//!
//! They resolve the instance, the stack and the calling thread, and record the event. Invariant:
//! once a stack is known, they do not allocate, touch strings, or take a lock that all threads
//! share.

use crate::observe::capture::{self, Buffer};
use crate::observe::{adoption, guard, threads};
use crate::state::classes::{Classes, Life};
use crate::state::context::Context;
use crate::sys::allocator;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jclass, jobject, jvmtiError, out_of_memory};
use jvmti_bindings::sys::jni::JNIEnv;
use std::mem::MaybeUninit;
use zaudit_core::model::{Actor, Kind, OutOfMemory, Role, SiteId, Stack, StackKey, ThreadId};

/// `zaudit.Hooks.created(Object)`: before each return of a constructor.
pub(crate) extern "system" fn created(env: *mut JNIEnv, _class: jclass, instance: jobject) {
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |context| {
        let Context { audit, .. } = context;
        jni.check_exceptions();
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::created(
            jni,
            context.agent.classes.get().map(|classes| classes.inflater),
        );
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("created");
        if allocator::is_exhausted() {
            return context.agent.uncounted();
        }
        if let Err(error) = on_created(context, instance) {
            audit.session.record_dropped(reason("constructor", error));
        }
    });
}

/// `zaudit.Hooks.ended(Object)`: at the entry of `end()`.
pub(crate) extern "system" fn ended(env: *mut JNIEnv, _class: jclass, instance: jobject) {
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |context| {
        let Context { audit, .. } = context;
        jni.check_exceptions();
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::ended();
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("ended");
        if let Err(error) = on_ended(context, instance) {
            audit.session.record_dropped(reason("end()", error));
        }
    });
}

fn on_created(context: Context<'_>, instance: jobject) -> Result<()> {
    let Context { agent, audit, jni } = context;
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let kind = classes.kind(jni, instance);
    let thread = threads::id(agent, audit.jvmti, jni)?;
    let site = site(
        (context, classes),
        |key| audit.session.site(kind, key),
        || subclass(context, kind.class(), instance),
        |key, stack| audit.session.learn(kind, key, stack),
        // Its instances are counted nevertheless.
        || audit.session.unlearned(kind),
    )?;
    let id = audit.session.id(thread);
    let wants_name = adoption::tag_created(audit, instance, id, || {
        audit.session.record_created(id, site, thread, agent.now())
    })?;
    if wants_name && !allocator::is_pressed() {
        match threads::name(agent, jni) {
            Ok(name) => audit.session.name_thread(site, name),
            Err(_) => audit.session.record_unreadable("a thread's name could not be read"),
        }
    }
    Ok(())
}

fn on_ended(context: Context<'_>, instance: jobject) -> Result<()> {
    let Context { agent, audit, jni } = context;
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    // An `end()` by an unknown thread is still an end: without it the instance would be reported as
    // a leak.
    let mut actor = threads::actor(agent, audit.jvmti, jni).unwrap_or_else(|_| {
        audit.session.record_unreadable("a thread that called end() could not be identified");
        Actor { thread: ThreadId::UNKNOWN, role: Role::Program }
    });
    let Some(id) = adoption::tag_ending(context, instance)? else {
        // JDK 8's finalizer calls end() on every instance, also on those that were ended long ago.
        if actor.role == Role::Program {
            let kind = classes.kind(jni, instance);
            match classes.life(jni, kind, instance) {
                Some(Life::Open) => audit.session.record_unknown_end(kind),
                Some(Life::Ended | Life::Unborn) => on_ended_again(context, classes, kind)?,
                None => audit.session.record_unreadable("an instance's state could not be read"),
            }
        }
        return Ok(());
    };
    if actor.role == Role::Reclaimer && threads::in_instance_finalizer(agent, jni)? {
        actor.role = Role::StreamFinalizer;
    }
    let first = audit.session.record_ended(id, actor, agent.now());
    audit.jvmti.set_tag(instance, 0)?;
    if first {
        return Ok(());
    }
    on_ended_again(context, classes, classes.kind(jni, instance))
}

fn on_ended_again(context: Context<'_>, classes: &Classes, kind: Kind) -> Result<()> {
    let double_end = site(
        (context, classes),
        |key| context.audit.session.double_end(kind, key),
        || None,
        |key, stack| context.audit.session.learn_double_end(kind, key, stack),
        || Err(OutOfMemory),
    )?;
    context.audit.session.record_double_end(double_end);
    Ok(())
}

/// How often a stack is captured again because a class was redefined while its names were read.
const MAX_CAPTURES: usize = 4;

/// The site of the current thread's stack. `unlearned` returns one if there is no memory for a new
/// stack.
#[inline]
fn site(
    (context @ Context { agent, audit, jni }, classes): (Context<'_>, &Classes),
    known: impl Fn(StackKey) -> Option<SiteId>,
    subclass: impl Fn() -> Option<String>,
    learn: impl FnOnce(StackKey, Stack) -> std::result::Result<SiteId, OutOfMemory>,
    unlearned: impl FnOnce() -> std::result::Result<SiteId, OutOfMemory>,
) -> Result<SiteId> {
    let mut buffer: Buffer = [const { MaybeUninit::uninit() }; _];
    let mut captures_left = MAX_CAPTURES;
    loop {
        let version = audit.redefinitions.version(jni, classes.redefined);
        let raw = capture::capture(agent.jvmti, audit.options.depth, version, &mut buffer)?;
        if let Some(site) = known(raw.key) {
            return Ok(site);
        }
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("learn");
        let stack = capture::resolve(context, &raw, subclass());
        captures_left -= 1;
        // A method's id may have passed to a new version in between, which has other lines.
        if captures_left == 0 || audit.redefinitions.version(jni, classes.redefined) == version {
            let learnt = stack.map_or(Err(OutOfMemory), |stack| learn(raw.key, stack));
            return learnt.or_else(|OutOfMemory| unlearned()).map_err(out_of_memory);
        }
    }
}

/// The name of the instance's class if it is a subclass of the audited one.
fn subclass(
    Context { agent, audit, jni }: Context<'_>,
    audited: &str,
    instance: jobject,
) -> Option<String> {
    let class = jni.class_of(instance);
    let name = capture::class_name(agent.jvmti, class);
    jni.delete_local(class);
    match name {
        Ok(name) => (name.strip_prefix("java.util.zip.") != Some(audited)).then_some(name),
        Err(_) => {
            audit.session.record_unreadable("an instance's class could not be read");
            None
        }
    }
}

/// The reason for `health` that stands for a JVMTI error: one of a few fixed texts, so that they
/// can be counted.
fn reason(what: &'static str, error: jvmtiError) -> &'static str {
    use jvmtiError as E;
    match (what, error) {
        // After VMDeath, or on a thread that the JVM is taking down.
        (_, E::WRONG_PHASE) => "the JVM was exiting",
        (_, E::OUT_OF_MEMORY) => "the process had no memory left for it",
        (_, E::UNATTACHED_THREAD | E::THREAD_NOT_ALIVE | E::INVALID_THREAD) => {
            "the thread was exiting"
        }
        ("constructor", _) => "a constructor call could not be recorded",
        _ => "an end() call could not be recorded",
    }
}
