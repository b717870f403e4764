//! The calling thread: an id for each thread, platform or virtual, and whether it is a finalizer or
//! Cleaner thread.
//!
//! The role is decided once per thread, from the outermost frames of its stack, never from its
//! name: any thread may be called "Finalizer". This module also knows when a finalizer or Cleaner
//! thread is idle. Invariant: an id is given to one thread only.

use crate::observe::stack;
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::context::Context;
use crate::state::frame_roles::{FrameRole, frame_role};
use crate::state::slots::{self, Known, Slot};
use crate::state::tags;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jint, jlong, jmethodID, jobject, jvmtiError, jvmtiFrameInfo};
use jvmti_bindings::sys::jvmti::JVMTI_THREAD_STATE_WAITING;
use std::iter;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use zaudit_core::model::{Actor, Role, ThreadId};
use zaudit_core::options::MAX_DEPTH;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// What is known of the current thread.
fn known() -> Known {
    slots::here().map_or(Known::Nothing, Slot::known)
}

fn keep(known: Known) {
    slots::here().into_iter().for_each(|slot| slot.set_known(known));
}

/// The current thread's id.
#[inline]
pub(crate) fn id(context: Context<'_>) -> Result<ThreadId> {
    match known() {
        Known::Platform(actor) => Ok(actor.thread),
        Known::Carrier => virtual_id(context),
        Known::Nothing => Ok(decide(context)?.thread),
    }
}

/// The current thread's id and role.
#[inline]
pub(crate) fn actor(context: Context<'_>) -> Result<Actor> {
    match known() {
        Known::Platform(actor) => Ok(actor),
        Known::Carrier => virtual_actor(context),
        Known::Nothing => decide(context),
    }
}

#[cold]
fn decide(context @ Context { agent, jni, .. }: Context<'_>) -> Result<Actor> {
    let thread = agent.jvmti.current_thread()?;
    // With another scheduler than the JDK's any thread may be a carrier. One that creates or ends
    // an instance before it carries anything keeps this result, and its virtual threads are counted
    // as that thread.
    let classes = agent.classes.get();
    let carries =
        jni.is_virtual(thread) || classes.is_some_and(|known| known.is_carrier(jni, thread));
    jni.delete_local(thread);
    if carries {
        // What a carrier does before it carries anything is its own: its `Thread` object has a tag,
        // too.
        keep(Known::Carrier);
        return virtual_actor(context);
    }
    let role = if is_reclaimer(agent, jni, std::ptr::null_mut())? {
        Role::Reclaimer
    } else {
        Role::Program
    };
    let actor = Actor { thread: new_id(), role };
    keep(Known::Platform(actor));
    Ok(actor)
}

/// The current thread, if it is the last virtual thread that this carrier has kept. Calls nothing
/// of the JVM.
#[inline]
pub(crate) fn last_virtual(
    audit: &Audit,
    slot: &Slot,
    jni: Jni,
) -> Option<(ThreadId, Option<Role>)> {
    let tag = slot.virtual_tag(audit.number, stack::running_thread(jni)?)?;
    Some(tags::thread(tag))
}

/// A virtual thread's id and role are in the tag of its `Thread` object, because its carrier
/// changes. The carrier keeps the last one's: to ask for a thread's number is much cheaper.
struct Virtual {
    /// A local reference, which the JVM frees when the hook returns.
    thread: jobject,
    /// None if it is not known.
    number: Option<u64>,
    /// 0 if there is none.
    tag: jlong,
}

impl Virtual {
    #[inline]
    fn current(Context { agent, audit, jni }: Context<'_>) -> Result<Virtual> {
        let thread = agent.jvmti.current_thread()?;
        let number = agent.classes.get().and_then(|classes| classes.thread_number(jni, thread));
        let kept = number
            .zip(slots::here())
            .and_then(|(number, slot)| slot.virtual_tag(audit.number, number));
        match kept {
            Some(tag) => Ok(Virtual { thread, number, tag }),
            None => {
                let virtual_thread = Virtual { thread, number, tag: audit.jvmti.tag(thread)? };
                if virtual_thread.tag != 0 {
                    virtual_thread.keep(audit, virtual_thread.tag);
                }
                Ok(virtual_thread)
            }
        }
    }

    fn set_tag(&self, audit: &Audit, tag: jlong) -> Result<()> {
        audit.jvmti.set_tag(self.thread, tag)?;
        self.keep(audit, tag);
        Ok(())
    }

    fn keep(&self, audit: &Audit, tag: jlong) {
        if let (Some(number), Some(slot)) = (self.number, slots::here()) {
            slot.set_virtual_tag(audit.number, number, tag);
        }
    }
}

#[inline]
fn virtual_id(context @ Context { audit, jni, .. }: Context<'_>) -> Result<ThreadId> {
    if let Some((id, _)) = slots::here().and_then(|slot| last_virtual(audit, slot, jni)) {
        return Ok(id);
    }
    let current = Virtual::current(context)?;
    match current.tag {
        0 => {
            let id = new_id();
            current.set_tag(context.audit, tags::of_thread(id, None)).map(|()| id)
        }
        tag => Ok(tags::thread(tag).0),
    }
}

fn virtual_actor(context @ Context { agent, audit, jni }: Context<'_>) -> Result<Actor> {
    if let Some((thread, Some(role))) =
        slots::here().and_then(|slot| last_virtual(audit, slot, jni))
    {
        return Ok(Actor { thread, role });
    }
    let current = Virtual::current(context)?;
    let (thread, role) = match current.tag {
        0 => (new_id(), None),
        tag => tags::thread(tag),
    };
    let role = match role {
        Some(role) => role,
        None => {
            let reclaims = is_reclaimer(agent, jni, std::ptr::null_mut())?;
            let role = if reclaims { Role::Reclaimer } else { Role::Program };
            current.set_tag(audit, tags::of_thread(thread, Some(role)))?;
            role
        }
    };
    Ok(Actor { thread, role })
}

fn new_id() -> ThreadId {
    ThreadId(NEXT.fetch_add(1, Ordering::Relaxed))
}

fn role_of_frame(agent: &Agent, jni: Jni, method: jmethodID) -> Result<FrameRole> {
    if let Some(known) = agent.frame_roles.get(method as usize) {
        return Ok(known);
    }
    let class = agent.jvmti.declaring_class(method)?;
    let signature = agent.jvmti.class_signature(class);
    jni.delete_local(class);
    let role = frame_role(&signature?, &agent.jvmti.method_name(method)?);
    agent.frame_roles.enter(method as usize, role);
    Ok(role)
}

/// Fits nearly every stack, in one page: a new thread has touched few pages of its own stack.
const USUAL_DEPTH: usize = 240;

/// How many outermost frames show what a thread is for.
const OUTERMOST: usize = 16;

/// Whether a thread (the current one if null) is a finalizer or Cleaner thread. Its loop is the
/// first method it runs, so the result never changes, and the loop is near the outermost frame: a
/// Cleaner's runs below `InnocuousThread.run` and `Thread.run`, or below the wrappers of a user's
/// ThreadFactory.
pub(crate) fn is_reclaimer(agent: &Agent, jni: Jni, thread: jobject) -> Result<bool> {
    // GetFrameCount is no alternative for another thread: JDK 8 crashes in it if that thread ends
    // at the same moment (`VM_GetFrameCount` keeps a pointer to its state).
    let mut buffer = [const { MaybeUninit::uninit() }; USUAL_DEPTH];
    let frames = agent.jvmti.frames(thread, 0, &mut buffer)?;
    if frames.len() == USUAL_DEPTH {
        return is_reclaimer_with_deep_stack(agent, jni, thread);
    }
    ends_in_reclaiming_loop(agent, jni, frames)
}

/// GetStackTrace takes 5 to 9 KB of native memory for each frame that it passes, and frees it only
/// at the end, so the outermost frames of a very deep stack are not read. There, the thread's class
/// and its task decide.
#[cold]
#[inline(never)]
fn is_reclaimer_with_deep_stack(agent: &Agent, jni: Jni, thread: jobject) -> Result<bool> {
    // Not on the stack, of which little may be left at this depth.
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(MAX_DEPTH).map_err(|_| jvmtiError::OUT_OF_MEMORY)?;
    let frames = agent.jvmti.frames(thread, 0, buffer.spare_capacity_mut())?;
    if frames.len() < MAX_DEPTH {
        ends_in_reclaiming_loop(agent, jni, frames)
    } else {
        has_reclaiming_task(agent, jni, thread)
    }
}

/// Whether what a thread (the current one if null) was made to run is such a loop. It is not found
/// if a ThreadFactory wraps it, or runs it on a virtual thread.
fn has_reclaiming_task(agent: &Agent, jni: Jni, thread: jobject) -> Result<bool> {
    /// The thread, its task, their classes.
    const LOCALS: usize = 8;
    let find = || {
        let thread = if thread.is_null() { agent.jvmti.current_thread()? } else { thread };
        let task = agent.classes.get().and_then(|classes| classes.task(jni, thread));
        for object in iter::once(thread).chain(task) {
            let signature = agent.jvmti.class_signature(jni.class_of(object))?;
            if frame_role(&signature, "run") == FrameRole::ReclaimingLoop {
                return Ok(true);
            }
        }
        Ok(false)
    };
    jni.with_locals(LOCALS, find).unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))
}

/// Whether the outermost frames of a stack, which end `frames`, have such a loop.
fn ends_in_reclaiming_loop(agent: &Agent, jni: Jni, frames: &[jvmtiFrameInfo]) -> Result<bool> {
    for frame in frames.iter().skip(frames.len().saturating_sub(OUTERMOST)) {
        if is_reclaiming_loop(agent, jni, frame)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_reclaiming_loop(agent: &Agent, jni: Jni, frame: &jvmtiFrameInfo) -> Result<bool> {
    Ok(role_of_frame(agent, jni, frame.method)? == FrameRole::ReclaimingLoop)
}

/// How many innermost frames are searched for an instance's finalizer, or for what a thread waits
/// in.
pub(crate) const INNERMOST: usize = 16;

/// What a finalizer or Cleaner thread is doing when a native stream is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reclaiming {
    /// It calls `end()`.
    Ends,
    /// The instance's own finalizer calls `end()`, also through a subclass's `end()`.
    Finalizes,
    /// The JDK's Cleaner frees the stream itself.
    Frees,
}

impl Reclaiming {
    const ALL: [Reclaiming; 3] = [Reclaiming::Ends, Reclaiming::Finalizes, Reclaiming::Frees];

    /// As [`Slot::meaning`] keeps it.
    pub(crate) fn of(meaning: u8) -> Option<Reclaiming> {
        Reclaiming::ALL.get(usize::from(meaning)).copied()
    }
}

/// What the current thread, a finalizer or Cleaner thread, is doing.
pub(crate) fn reclaiming(agent: &Agent, jni: Jni) -> Result<Reclaiming> {
    let mut buffer = [const { MaybeUninit::uninit() }; INNERMOST];
    let mut found = Reclaiming::Frees;
    for frame in agent.jvmti.frames(std::ptr::null_mut(), 0, &mut buffer)? {
        match role_of_frame(agent, jni, frame.method)? {
            FrameRole::InstanceFinalizer => return Ok(Reclaiming::Finalizes),
            FrameRole::End => found = Reclaiming::Ends,
            _ => {}
        }
    }
    Ok(found)
}

/// Whether a finalizer or Cleaner thread waits for work, and not for a lock that its work needs.
pub(crate) fn is_idle(agent: &Agent, jni: Jni, thread: jobject) -> Result<bool> {
    let waiting = state(agent, jni, thread)? & JVMTI_THREAD_STATE_WAITING != 0;
    let mut buffer = [const { MaybeUninit::uninit() }; INNERMOST];
    for frame in agent.jvmti.frames(thread, 0, &mut buffer)? {
        match role_of_frame(agent, jni, frame.method)? {
            FrameRole::Waiting => {}
            FrameRole::PendingList => return Ok(true),
            FrameRole::ReferenceQueue => return Ok(waiting),
            _ => return Ok(false),
        }
    }
    // No Java frame: the thread is about to begin, or has ended.
    Ok(true)
}

/// A platform thread's state. It is read from the thread's own field where there is one: on JDK 8
/// GetThreadState reads from the VM's thread without a lock, and that may be freed if the thread
/// ends.
fn state(agent: &Agent, jni: Jni, thread: jobject) -> Result<jint> {
    let status = agent.classes.get().and_then(|classes| classes.thread_status(jni, thread));
    status.map_or_else(|| agent.jvmti.thread_state(thread), Ok)
}

/// Stands for the name of a thread that has none.
pub(crate) const UNNAMED: &str = "(unnamed)";

/// The current thread's name; a virtual one often has none.
pub(crate) fn name(agent: &Agent, jni: Jni) -> std::result::Result<String, jvmtiError> {
    let thread: jobject = agent.jvmti.current_thread()?;
    let name = agent.jvmti.thread_name(jni, thread);
    jni.delete_local(thread);
    let name = name?;
    Ok(if name.is_empty() { UNNAMED.into() } else { name })
}
