//! The native methods of the helper class: a native stream was created, is about to be freed, was
//! freed before.
//!
//! They find the site of the stack and the calling thread, and record the event. Those of
//! `hooks_by_tag` and `lending` share that. Invariant: once stack and thread are known, they do not
//! allocate, touch strings, take a lock, or write a cache line that other threads write.

use crate::observe::guard::Hook;
use crate::observe::sites::{Allocations, DoubleEnds};
use crate::observe::stack::{self, Seen};
use crate::observe::threads::Reclaiming;
use crate::observe::{guard, marking, threads};
use crate::state::classes::Classes;
use crate::state::context::Context;
use crate::state::slots::Known;
use crate::sys::allocator;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jclass, jlong, jobject, jvmtiError, out_of_memory};
use jvmti_bindings::sys::jni::JNIEnv;
use zaudit_core::ledger::{Created, Ledger, NotEntered, ThreadCounts};
use zaudit_core::model::{Actor, InstanceId, Kind, Nanos, OutOfMemory, Role, SiteId, ThreadId};

/// `zaudit.Hooks.inflaterCreated(long, Object)`: an Inflater's native stream was created.
pub(crate) extern "system" fn inflater_created(
    env: *mut JNIEnv,
    _class: jclass,
    address: jlong,
    instance: jobject,
) {
    opened(env, Kind::Inflater, address, instance);
}

/// As [`inflater_created`].
pub(crate) extern "system" fn deflater_created(
    env: *mut JNIEnv,
    _class: jclass,
    address: jlong,
    instance: jobject,
) {
    opened(env, Kind::Deflater, address, instance);
}

/// `zaudit.Hooks.inflaterEnded(long)`: an Inflater's native stream is about to be freed.
pub(crate) extern "system" fn inflater_ended(env: *mut JNIEnv, _class: jclass, address: jlong) {
    freed(env, Kind::Inflater, address);
}

/// As [`inflater_ended`].
pub(crate) extern "system" fn deflater_ended(env: *mut JNIEnv, _class: jclass, address: jlong) {
    freed(env, Kind::Deflater, address);
}

/// `zaudit.Hooks.inflaterEndedAgain()`: `end()` of an Inflater without a native stream.
pub(crate) extern "system" fn inflater_ended_again(env: *mut JNIEnv, _class: jclass) {
    ended_again(env, Kind::Inflater);
}

/// As [`inflater_ended_again`].
pub(crate) extern "system" fn deflater_ended_again(env: *mut JNIEnv, _class: jclass) {
    ended_again(env, Kind::Deflater);
}

#[inline]
fn opened(env: *mut JNIEnv, kind: Kind, address: jlong, instance: jobject) {
    #[cfg(feature = "fault-injection")]
    let _in_hook = crate::sys::fault_injection::InHook::begin();
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |hook| {
        #[cfg(feature = "fault-injection")]
        hook.inside.outside(|| {
            crate::sys::fault_injection::created(
                jni,
                hook.agent.classes.get().map(|classes| classes.inflater),
            );
        });
        // No native stream: the JDK throws.
        if address == 0 {
            return;
        }
        let id = InstanceId::of_address(address);
        with_memory(hook, "constructor", |hook| {
            on_created(hook, (kind, id), instance, |hook, site, thread| {
                let Some(audit) = hook.audit() else { return Ok(None) };
                let (ledger, own) = (audit.ledger.get(&hook.inside), hook.inside.counts());
                ledger.created(own, id, site, thread, hook.agent.recent()).map(Some)
            })
        });
    });
}

/// Runs the part of a hook that enters an instance and so needs memory, if there is any. `method`
/// is the one that the hook is in.
#[inline]
pub(super) fn with_memory(
    hook: &mut Hook,
    method: &'static str,
    enter: impl FnOnce(&mut Hook) -> Result<()>,
) {
    #[cfg(feature = "fault-injection")]
    let _stage = crate::sys::fault_injection::memory("created");
    if allocator::is_exhausted() {
        return hook.agent.uncounted();
    }
    let entered = enter(hook);
    record(hook, method, entered);
}

fn freed(env: *mut JNIEnv, kind: Kind, address: jlong) {
    #[cfg(feature = "fault-injection")]
    let _in_hook = crate::sys::fault_injection::InHook::begin();
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |hook| {
        #[cfg(feature = "fault-injection")]
        hook.inside.outside(crate::sys::fault_injection::ended);
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("ended");
        let freed = on_freed(hook, kind, InstanceId::of_address(address));
        record(hook, "end()", freed);
    });
}

#[inline]
fn on_freed(hook: &mut Hook, kind: Kind, id: InstanceId) -> Result<()> {
    let agent = hook.agent;
    let by = match program(hook) {
        Some(by) => Some((by, None)),
        None => actor(hook),
    };
    let Some((by, reclaiming)) = by else { return Ok(()) };
    marking::gone(hook, id, by, reclaiming);
    let Some(audit) = hook.audit() else { return Ok(()) };
    if audit.is_adopting() {
        hook.outside(|context| freed_during_adoption(context, kind, id, by, reclaiming));
        return Ok(());
    }
    let (ledger, own) = (audit.ledger.get(&hook.inside), hook.inside.counts());
    if !leave(ledger, own, id, by, reclaiming, || agent.recent()) && by.role == Role::Program {
        audit.session.record_unknown_end(kind);
    }
    Ok(())
}

/// The current thread, if it is known and runs the program's own code. Calls nothing of the JVM.
#[inline]
pub(super) fn program(hook: &Hook) -> Option<Actor> {
    let slot = hook.inside.slot();
    let by = match (slot.known(), hook.audit()) {
        (Known::Platform(by), _) => Some(by),
        (Known::Carrier, Some(audit)) => {
            let known = threads::last_virtual(audit, slot, hook.jni);
            known.and_then(|(thread, role)| Some(Actor { thread, role: role? }))
        }
        _ => None,
    };
    by.filter(|by| by.role == Role::Program)
}

/// Takes an instance out of the ledger. False if it is unknown.
#[inline]
fn leave(
    ledger: &Ledger,
    own: &ThreadCounts,
    id: InstanceId,
    by: Actor,
    reclaiming: Option<Reclaiming>,
    now: impl Fn() -> Nanos,
) -> bool {
    match reclaiming {
        Some(Reclaiming::Frees) => ledger.freed(id, now()),
        Some(Reclaiming::Finalizes) => {
            ledger.ended(own, id, Actor { role: Role::StreamFinalizer, ..by }, now)
        }
        Some(Reclaiming::Ends) | None => ledger.ended(own, id, by, now),
    }
}

/// Waits for a lock, which a thread that is inside must not.
#[cold]
#[inline(never)]
fn freed_during_adoption(
    Context { agent, audit, .. }: Context<'_>,
    kind: Kind,
    id: InstanceId,
    by: Actor,
    reclaiming: Option<Reclaiming>,
) {
    let known = audit.end_during_adoption(id, |ledger, own| {
        leave(ledger, own, id, by, reclaiming, || agent.recent())
    });
    if known == Some(false) && by.role == Role::Program {
        audit.session.record_unknown_end(kind);
    }
}

/// The thread that frees a native stream, and what it does if it is a finalizer or Cleaner.
#[cold]
#[inline(never)]
pub(super) fn actor(hook: &mut Hook) -> Option<(Actor, Option<Reclaiming>)> {
    // The JDK's Cleaner frees one after the other from the same frames.
    let slot = hook.inside.slot();
    let frames = match (slot.known(), hook.audit()) {
        (Known::Platform(_), Some(audit)) => stack::innermost(audit, hook.jni, threads::INNERMOST),
        _ => None,
    };
    if let (Known::Platform(by), Some(meaning)) =
        (slot.known(), frames.and_then(|frames| slot.meaning(frames)))
        && let Some(reclaiming) = Reclaiming::of(meaning)
    {
        return Some((by, Some(reclaiming)));
    }
    hook.outside(|context @ Context { agent, audit, jni }| {
        let by = actor_if_known(context);
        let reclaiming = (by.role == Role::Reclaimer).then(|| {
            let found = threads::reclaiming(agent, jni);
            // The frames may have changed their kind meanwhile.
            if let (Some(frames), Ok(found)) = (frames, found)
                && stack::innermost(audit, jni, threads::INNERMOST) == Some(frames)
            {
                slot.set_meaning(frames, found as u8);
            }
            found.unwrap_or_else(|_| {
                audit.session.record_unreadable(UNKNOWN_THREAD);
                Reclaiming::Ends
            })
        });
        (by, reclaiming)
    })
}

/// The current thread, which calls `end()`. With an unknown thread it is still an end: without it
/// the instance would be reported as a leak.
pub(super) fn actor_if_known(context: Context<'_>) -> Actor {
    threads::actor(context).unwrap_or_else(|_| {
        context.audit.session.record_unreadable(UNKNOWN_THREAD);
        Actor { thread: ThreadId::UNKNOWN, role: Role::Program }
    })
}

/// A reason for `health`.
const UNKNOWN_THREAD: &str = "a thread that called end() could not be identified";

fn ended_again(env: *mut JNIEnv, kind: Kind) {
    #[cfg(feature = "fault-injection")]
    let _in_hook = crate::sys::fault_injection::InHook::begin();
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |hook| {
        // JDK 8's finalizer calls end() on every instance, also on those that were ended long ago.
        let by = match hook.inside.slot().known() {
            Known::Platform(actor) => Some(actor),
            _ => actor(hook).map(|(by, _)| by),
        };
        if by.is_none_or(|by| by.role != Role::Program) {
            return;
        }
        let recorded = hook.outside(|context| {
            let Some(classes) = context.agent.classes.get() else { return Ok(()) };
            // The check is a frame of its own.
            on_ended_again(context, classes, kind, 1)
        });
        record(hook, "end()", recorded.unwrap_or(Ok(())));
    });
}

/// Records the failure of a hook.
#[inline]
pub(super) fn record<T>(hook: &Hook, what: &'static str, outcome: Result<T>) {
    if let Err(error) = outcome
        && let Some(audit) = hook.audit()
    {
        audit.session.record_dropped(reason(what, error));
    }
}

/// Finds the site and the thread, and enters an instance, whose id in the ledger is `id`, with
/// `enter`.
#[inline]
pub(super) fn on_created(
    hook: &mut Hook,
    (kind, id): (Kind, InstanceId),
    instance: jobject,
    mut enter: impl FnMut(
        &mut Hook,
        SiteId,
        ThreadId,
    ) -> std::result::Result<Option<Created>, NotEntered>,
) -> Result<()> {
    let Some(audit) = hook.audit() else { return Ok(()) };
    let slot = hook.inside.slot();
    let seen = stack::seen(audit, slot, hook.jni, kind);
    let (site, thread) = match (seen, slot.known()) {
        (Seen::Site(site), Known::Platform(actor)) => (site, actor.thread),
        (seen, _) => match new_site(hook, kind, instance, seen)? {
            Some(found) => found,
            None => return Ok(()),
        },
    };
    let created = loop {
        match enter(hook, site, thread) {
            Ok(Some(created)) => break created,
            Ok(None) => return Ok(()),
            Err(NotEntered::Full) => match hook.outside(|context| context.audit.grow()) {
                Some(Ok(())) => {}
                Some(Err(OutOfMemory)) => return Err(jvmtiError::OUT_OF_MEMORY),
                None => return Ok(()),
            },
            Err(NotEntered::OutOfMemory) => return Err(jvmtiError::OUT_OF_MEMORY),
        }
    };
    if created.replaced
        && let Some(audit) = hook.audit()
    {
        audit.session.record_dropped("an end() was not seen, and its memory was used again");
    }
    if created.wants_name && !allocator::is_pressed() {
        hook.outside(|Context { agent, audit, jni }| match threads::name(agent, jni) {
            Ok(name) => audit.session.name_thread(site, name),
            Err(_) => audit.session.record_unreadable("a thread's name could not be read"),
        });
    }
    marking::made(hook, id, site, thread);
    Ok(())
}

/// The site of a stack and the thread, found with the JVM's help. None if the audit has ended.
#[cold]
#[inline(never)]
fn new_site(
    hook: &mut Hook,
    kind: Kind,
    instance: jobject,
    seen: Seen,
) -> Result<Option<(SiteId, ThreadId)>> {
    let found = hook.outside(|context| {
        let agent = context.agent;
        let Some(classes) = agent.classes.get() else { return Ok(None) };
        let thread = threads::id(context)?;
        let site = match seen {
            Seen::Site(site) => site,
            seen => stack::site(context, classes, &Allocations { context, kind, instance }, seen)?,
        };
        Ok(Some((site, thread)))
    });
    found.unwrap_or(Ok(None))
}

pub(super) fn on_ended_again(
    context: Context<'_>,
    classes: &Classes,
    kind: Kind,
    frames_above: usize,
) -> Result<()> {
    let sites = DoubleEnds { kind, frames_above };
    let double_end = stack::site(context, classes, &sites, Seen::Not)?;
    context.audit.session.record_double_end(double_end).map_err(out_of_memory)
}

/// The reason for `health` that stands for a JVMTI error: one of a few fixed texts, so that they
/// can be counted.
pub(super) fn reason(what: &'static str, error: jvmtiError) -> &'static str {
    use jvmtiError as E;
    match (what, error) {
        // After VMDeath, or on a thread that the JVM is taking down.
        (_, E::WRONG_PHASE) => "the JVM was exiting",
        (_, E::OUT_OF_MEMORY) => "the process had no memory left for it",
        (_, E::UNATTACHED_THREAD | E::THREAD_NOT_ALIVE | E::INVALID_THREAD) => {
            "the thread was exiting"
        }
        ("constructor", _) => "a constructor call could not be recorded",
        ("getInflater()", _) => "an entry stream could not be recorded",
        ("releaseInflater()", _) => "the end of an entry stream could not be recorded",
        _ => "an end() call could not be recorded",
    }
}
