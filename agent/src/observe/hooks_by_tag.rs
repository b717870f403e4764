//! The native methods of the helper class where a JVMTI tag identifies an instance: a constructor
//! returns, `end()` begins.
//!
//! Invariant: as in `hooks`, but for the calls of JVMTI that tags need.

use crate::observe::hooks::{actor_if_known, on_created, on_ended_again, reason, with_memory};
use crate::observe::threads::{self, Reclaiming};
use crate::observe::{adoption, guard, marking};
use crate::state::classes::Life;
use crate::state::context::Context;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jclass, jobject};
use jvmti_bindings::sys::jni::JNIEnv;
use zaudit_core::ledger::{Ledger, NotEntered, ThreadCounts};
use zaudit_core::model::Role;

/// `zaudit.Hooks.created(Object)`: before each return of a constructor.
pub(crate) extern "system" fn created(env: *mut JNIEnv, _class: jclass, instance: jobject) {
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::hook(jni, |hook| {
        with_memory(hook, "constructor", |hook| {
            let kind = hook.outside(|Context { agent, jni, .. }| {
                agent.classes.get().map(|classes| classes.kind(jni, instance))
            });
            let Some(kind) = kind.flatten() else { return Ok(()) };
            let id = Ledger::next_id();
            let tagged =
                |Context { audit, .. }: Context<'_>| adoption::tag_created(audit, instance, id);
            on_created(hook, (kind, id), instance, |hook, site, thread| {
                match hook.outside(tagged) {
                    None => return Ok(None),
                    Some(Err(_)) => return Err(NotEntered::OutOfMemory),
                    Some(Ok(())) => {}
                }
                let Some(audit) = hook.audit() else { return Ok(None) };
                let (ledger, own) = (audit.ledger.get(&hook.inside), hook.inside.counts());
                let created = ledger.created(own, id, site, thread, hook.agent.recent());
                if created.is_err() {
                    // It is not in the ledger, so its `end()` and its death must be ignored.
                    hook.outside(|context| _ = context.audit.jvmti.set_tag(instance, 0));
                }
                created.map(Some)
            })
        });
    });
}

/// `zaudit.Hooks.ended(Object)`: at the entry of `end()`.
pub(crate) extern "system" fn ended(env: *mut JNIEnv, _class: jclass, instance: jobject) {
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::during_audit(jni, |context| {
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("ended");
        if let Err(error) = on_ended(context, instance) {
            context.audit.session.record_dropped(reason("end()", error));
        }
    });
}

fn on_ended(context: Context<'_>, instance: jobject) -> Result<()> {
    let Context { agent, audit, jni } = context;
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let mut actor = actor_if_known(context);
    let Some(id) = adoption::tag_ending(context, instance)? else {
        // JDK 8's finalizer calls end() on every instance, also on those that were ended long ago.
        if actor.role == Role::Program {
            let kind = classes.kind(jni, instance);
            match classes.life(jni, kind, instance) {
                Some(Life::Open) => audit.session.record_unknown_end(kind),
                Some(Life::Ended | Life::Unborn) => on_ended_again(context, classes, kind, 0)?,
                None => audit.session.record_unreadable("an instance's state could not be read"),
            }
        }
        return Ok(());
    };
    if actor.role == Role::Reclaimer && threads::reclaiming(agent, jni)? == Reclaiming::Finalizes {
        actor.role = Role::StreamFinalizer;
    }
    marking::gone_in(context, id, actor, None);
    // Several threads may end one instance at once, and no lock of the JDK is held here yet.
    let end =
        |ledger: &Ledger, own: &ThreadCounts| ledger.ended_once(own, id, actor, || agent.recent());
    let first = match audit.is_adopting() {
        // For the entry stream that it may be lent to.
        true => audit.end_during_adoption(id, end),
        false => audit.with_ledger(end),
    };
    let first = first.unwrap_or(false);
    audit.jvmti.set_tag(instance, 0)?;
    if first {
        return Ok(());
    }
    on_ended_again(context, classes, classes.kind(jni, instance), 0)
}
