//! What hooks record besides while a mark is held (`state::marks`).
//!
//! Without a mark that is one look at a flag. Invariant: the table is changed from outside, where
//! no lock is in the way of those that hold up the hooks.

use crate::observe::guard::Hook;
use crate::observe::threads::{self, Reclaiming};
use crate::state::context::Context;
use std::sync::Arc;
use zaudit_core::model::{Actor, InstanceId, OutOfMemory, Outcome, Role, SiteId, ThreadId};

/// A reason for `health`.
const NOT_MARKED: &str = "what was made since a mark could not be recorded";

/// Whether a mark is held.
#[inline]
fn is_wanted(hook: &Hook) -> bool {
    hook.audit().is_some_and(|audit| audit.marks.are_held())
}

/// An instance was made by this thread.
#[inline]
pub(super) fn made(hook: &mut Hook, id: InstanceId, site: SiteId, thread: ThreadId) {
    if is_wanted(hook) {
        hook.outside(|context| made_in(context, id, site, thread));
    }
}

#[cold]
#[inline(never)]
fn made_in(
    Context { agent, audit, jni }: Context<'_>,
    id: InstanceId,
    site: SiteId,
    thread: ThreadId,
) {
    let number = agent.jvmti.current_thread().ok().and_then(|current| {
        let classes = agent.classes.get();
        let number = classes.and_then(|classes| classes.thread_number(jni, current));
        jni.delete_local(current);
        number
    });
    let number = number.unwrap_or_default();
    let name = audit.marks.name(number).unwrap_or_else(|| {
        let name = threads::name(agent, jni).ok().filter(|name| name != threads::UNNAMED);
        Arc::from(name.unwrap_or_default())
    });
    let made = audit.marks.made(id, site, thread, (number, name));
    if made.is_err() {
        audit.session.record_dropped(NOT_MARKED);
    }
}

/// An instance is about to be freed, or an entry stream to be closed, by this thread, which may be
/// a finalizer or Cleaner.
#[inline]
pub(super) fn gone(hook: &mut Hook, id: InstanceId, by: Actor, reclaiming: Option<Reclaiming>) {
    if is_wanted(hook) {
        hook.outside(|context| gone_in(context, id, by, reclaiming));
    }
}

/// As [`gone`], from outside.
pub(super) fn gone_in(
    context: Context<'_>,
    id: InstanceId,
    by: Actor,
    reclaiming: Option<Reclaiming>,
) {
    let marks = &context.audit.marks;
    if !marks.are_held() {
        return;
    }
    let gone = match (by.role, reclaiming) {
        (Role::Program, _) => {
            marks.ended(id);
            Ok(())
        }
        (_, Some(Reclaiming::Frees)) => marks.lost(id, Outcome::Collected, None),
        (_, Some(Reclaiming::Finalizes)) | (Role::StreamFinalizer, _) => {
            marks.lost(id, Outcome::Late, None)
        }
        (Role::Reclaimer, _) => marks.lost(id, Outcome::Late, Some(by.thread)),
    };
    if let Err(OutOfMemory) = gone {
        context.audit.session.record_dropped(NOT_MARKED);
    }
}
