//! The native methods of the helper class that follow entry streams: a `ZipFile`, or a zip
//! file system, lends one of its Inflaters to a stream, and the stream gives it back.
//!
//! In the ledger a stream is the loan of its Inflater, with a record of its own. If the file is
//! closed first, the JDK ends the Inflater, which ends the loan as well. Invariant: as in `hooks`.

use crate::observe::guard::{self, Hook};
use crate::observe::hooks::{actor, on_created, program, record, with_memory};
use crate::observe::marking;
use crate::state::context::Context;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jclass, jobject};
use jvmti_bindings::sys::jni::JNIEnv;
use zaudit_core::model::{InstanceId, Kind};

/// `zaudit.Hooks.lent(Object)`: an archive lends an Inflater to a stream of an entry.
pub(crate) extern "system" fn lent(env: *mut JNIEnv, _class: jclass, inflater: jobject) {
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |hook| {
        with_memory(hook, "getInflater()", |hook| {
            let Some(id) = identify(hook, inflater)? else { return Ok(()) };
            on_created(hook, (Kind::ZipEntry, id.loan()), inflater, |hook, site, thread| {
                let Some(audit) = hook.audit() else { return Ok(None) };
                let (ledger, own) = (audit.ledger.get(&hook.inside), hook.inside.counts());
                ledger.lent(own, id, site, thread, hook.agent.recent()).map(Some)
            })
        });
    });
}

/// `zaudit.Hooks.givenBack(Object)`: an archive is about to take an Inflater back into its pool.
pub(crate) extern "system" fn given_back(env: *mut JNIEnv, _class: jclass, inflater: jobject) {
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |hook| {
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("ended");
        let given_back = identify(hook, inflater).map(|id| {
            let by = program(hook).or_else(|| actor(hook).map(|(by, _)| by));
            let (Some(id), Some(by)) = (id, by) else { return };
            marking::gone(hook, id.loan(), by, None);
            let Some(audit) = hook.audit() else { return };
            let agent = hook.agent;
            if audit.is_adopting() {
                hook.outside(|Context { audit, .. }| {
                    audit.end_during_adoption(id.loan(), |ledger, own| {
                        ledger.given_back(own, id, by, || agent.recent())
                    })
                });
                return;
            }
            let (ledger, own) = (audit.ledger.get(&hook.inside), hook.inside.counts());
            ledger.given_back(own, id, by, || agent.recent());
        });
        record(hook, "releaseInflater()", given_back);
    });
}

/// The id of an Inflater in the ledger. None if the audit does not follow it.
fn identify(hook: &mut Hook, inflater: jobject) -> Result<Option<InstanceId>> {
    let found = hook.outside(|Context { agent, audit, jni }| {
        agent.classes.get().map_or(Ok(None), |classes| audit.id_of(jni, classes, inflater))
    });
    found.unwrap_or(Ok(None))
}
