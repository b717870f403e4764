//! The native methods of the helper class that follow the Inflaters of a `ZipFile`: it has lent one
//! to a stream of an entry, and that stream gives it back.
//!
//! A stream is the loan of its Inflater: it has a record of its own in the ledger. If the file is
//! closed first, the JDK ends the Inflater, which ends the loan as well. Invariant: as in `hooks`.

use crate::observe::guard::{self, Hook};
use crate::observe::hooks::{actor, on_created, program, record};
use crate::state::context::Context;
use crate::sys::allocator;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jclass, jobject};
use jvmti_bindings::sys::jni::JNIEnv;
use zaudit_core::model::{Actor, InstanceId, Kind};

/// `zaudit.Hooks.lent(Object)`: a `ZipFile` lends an Inflater to a stream of an entry.
pub(crate) extern "system" fn lent(env: *mut JNIEnv, _class: jclass, inflater: jobject) {
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |hook| {
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("created");
        if allocator::is_exhausted() {
            return hook.agent.uncounted();
        }
        if !hook.audit().is_some_and(|audit| audit.follows_loans()) {
            return;
        }
        let lent = match identify(hook, inflater) {
            Ok(Some(id)) => on_created(hook, Kind::ZipEntry, inflater, |hook, site, thread| {
                let Some(audit) = hook.audit() else { return Ok(None) };
                let (ledger, own) = (audit.ledger.get(&hook.inside), hook.inside.counts());
                ledger.lent(own, id, site, thread, hook.agent.recent()).map(Some)
            }),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        record(hook, "getInflater()", lent);
    });
}

/// `zaudit.Hooks.givenBack(Object)`: a `ZipFile` is about to take an Inflater back into its pool.
pub(crate) extern "system" fn given_back(env: *mut JNIEnv, _class: jclass, inflater: jobject) {
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |hook| {
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("ended");
        let given_back = identify(hook, inflater).map(|id| {
            let by = program(hook).or_else(|| actor(hook).map(|(by, _)| by));
            let (Some(id), Some(by), Some(audit)) = (id, by, hook.audit()) else { return };
            let agent = hook.agent;
            if audit.is_adopting() {
                hook.outside(|context| given_back_during_adoption(context, id, by));
                return;
            }
            let (ledger, own) = (audit.ledger.get(&hook.inside), hook.inside.counts());
            ledger.given_back(own, id, by, || agent.recent());
        });
        record(hook, "releaseInflater()", given_back);
    });
}

/// While adoption is under way, it must not take for open what is given back now. It holds the lock
/// where it enters a stream.
#[cold]
#[inline(never)]
fn given_back_during_adoption(
    Context { agent, audit, .. }: Context<'_>,
    id: InstanceId,
    by: Actor,
) {
    let mut ended = audit.lock_ended();
    audit.with_ledger(|ledger, own| ledger.given_back(own, id, by, || agent.recent()));
    if ended.try_reserve(1).is_ok() {
        ended.insert(id.loan());
    }
}

/// How the ledger knows an Inflater, if the audit follows it.
fn identify(hook: &mut Hook, inflater: jobject) -> Result<Option<InstanceId>> {
    let found = hook.outside(|Context { agent, audit, jni }| {
        agent.classes.get().map_or(Ok(None), |classes| audit.id_of(jni, classes, inflater))
    });
    found.unwrap_or(Ok(None))
}
