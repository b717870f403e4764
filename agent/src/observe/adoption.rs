//! Adoption: the search for instances that were open before the audit began, concurrent with the
//! hooks.
//!
//! One heap walk marks every instance that has no tag yet; each is then inspected, and adopted if
//! it is open. Meanwhile the program runs: constructors return and `end()` is called on marked
//! instances. A lock ([`Audit::lock_tags`]) guards an instance's tag meanwhile. Invariant: an
//! instance is in the ledger once: as created if the hook saw its constructor return, else as
//! adopted if it was open and its `end()` is still to come.

use crate::state::audit::Audit;
use crate::state::classes::{Classes, Life};
use crate::state::context::Context;
use crate::state::tags::{self, ENDING, SEARCHED};
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jlong, jobject, jvmtiError, out_of_memory};
use std::ops::Range;
use std::time::{Duration, Instant};
use zaudit_core::model::{InstanceId, OutOfMemory, ThreadId};

/// When marked instances are inspected: at once, and again for constructors and `end()` calls that
/// were running in bytecode without hooks. Each entry is the delay after the one before.
const RECHECK_DELAYS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::from_millis(40),
];

/// Instances inspected at a time: HotSpot allows 65,536 local references (`MaxJNILocalCapacity`).
const BATCH: usize = 32_768;
/// Enough local references for every loaded class.
const LOCAL_REFS: usize = 32_768;

/// If there are more candidates, a GC comes first: most are garbage, and a GC is cheaper than their
/// inspection.
const GC_FIRST_ABOVE: usize = 50_000;
const MAX_CANDIDATES: usize = 100_000_000;

/// A constructor has returned: tags the instance, and records it by `created`.
#[inline]
pub(crate) fn tag_created<T>(
    audit: &Audit,
    instance: jobject,
    id: InstanceId,
    created: impl FnOnce() -> std::result::Result<T, OutOfMemory>,
) -> Result<T> {
    let recorded = |created: std::result::Result<T, OutOfMemory>| {
        if created.is_err() {
            // It is not in the ledger, so the agent must ignore its `end()` and its death.
            audit.jvmti.set_tag(instance, 0)?;
        }
        created.map_err(out_of_memory)
    };
    if !audit.has_adopted() {
        audit.jvmti.set_tag(instance, id.0.cast_signed())?;
        return recorded(created());
    }
    let _lock = audit.is_adopting().then(|| audit.lock_tags());
    // The search may have adopted it between the native part of its constructor and this hook.
    let before = audit.jvmti.tag(instance)?;
    audit.jvmti.set_tag(instance, id.0.cast_signed())?;
    if let Some(adopted) = tags::instance(before) {
        audit.session.unadopt(adopted);
    }
    recorded(created())
}

/// `end()` begins: returns the id of the instance if it is in the ledger.
#[inline]
pub(crate) fn tag_ending(
    context @ Context { audit, .. }: Context<'_>,
    instance: jobject,
) -> Result<Option<InstanceId>> {
    let found = audit.jvmti.tag(instance)?;
    if tags::instance(found).is_some() || (!tags::is_candidate(found) && !audit.is_adopting()) {
        return Ok(tags::instance(found));
    }
    let _lock = audit.lock_tags();
    let found = audit.jvmti.tag(instance)?;
    match found {
        // The search must not adopt an instance that will have ended when it is inspected.
        0 if audit.is_adopting() => audit.jvmti.set_tag(instance, ENDING)?,
        found if tags::is_candidate(found) => {
            let Some(classes) = context.agent.classes.get() else { return Ok(None) };
            if adopt(context, classes, instance)? == Some(Life::Open) {
                return audit.jvmti.tag(instance).map(tags::instance);
            }
            audit.jvmti.set_tag(instance, 0)?;
        }
        _ => return Ok(tags::instance(found)),
    }
    Ok(None)
}

/// Finds and adopts the open instances. The hooks have been in place since
/// [`Audit::begin_adoption`].
pub(crate) fn run(context @ Context { agent, audit, jni }: Context<'_>) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let marked = match mark(audit, classes, jni, 0..GC_FIRST_ABOVE) {
        Ok(GC_FIRST_ABOVE) => agent
            .jvmti
            .force_gc()
            .and_then(|()| mark(audit, classes, jni, GC_FIRST_ABOVE..MAX_CANDIDATES)),
        other => other,
    };
    let batches = marked.map_or(0, |found| found.div_ceil(BATCH));
    let inspected = (0..batches).try_for_each(|batch| {
        jni.with_locals(BATCH + LOCAL_REFS, || {
            inspect_batch(context, classes, tags::candidate(batch))
        })
        .unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))
    });
    audit.end_adoption(marked == Ok(0));
    marked.and(inspected)
}

/// Marks instances without a tag, in batches by their number. Returns the next number; if it is the
/// end of the range, there may be more instances.
fn mark(audit: &Audit, classes: &Classes, jni: Jni, mut numbers: Range<usize>) -> Result<usize> {
    jni.with_locals(LOCAL_REFS, || {
        let is_audited = |class: &jobject| {
            jni.is_assignable(*class, classes.inflater)
                || jni.is_assignable(*class, classes.deflater)
        };
        let searched: Vec<_> =
            audit.jvmti.loaded_classes()?.into_iter().filter(is_audited).collect();
        for class in &searched {
            audit.jvmti.set_tag(*class, SEARCHED)?;
        }
        let began = Instant::now();
        let walked = audit.jvmti.tag_instances_of_tagged_classes(|| {
            numbers.next().map(|number| tags::candidate(number / BATCH))
        });
        audit.add_pause(began.elapsed());
        for class in &searched {
            audit.jvmti.set_tag(*class, 0)?;
        }
        walked.map(|()| numbers.start)
    })
    .unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))
}

/// Inspects the marked instances of a batch, and repeats that for those whose state is not final.
fn inspect_batch(context: Context<'_>, classes: &Classes, batch: jlong) -> Result<()> {
    let mut instances = context.audit.jvmti.objects_with(batch)?;
    for delay in RECHECK_DELAYS {
        if instances.is_empty() {
            break;
        }
        std::thread::sleep(delay);
        let mut recheck = Vec::new();
        for instance in instances {
            if inspect(context, classes, instance)? {
                recheck.push(instance);
            }
        }
        instances = recheck;
    }
    Ok(())
}

/// Inspects one marked instance. Returns whether it has to be inspected again.
fn inspect(
    context @ Context { audit, jni, .. }: Context<'_>,
    classes: &Classes,
    instance: jobject,
) -> Result<bool> {
    let life = classes.life(jni, classes.kind(jni, instance), instance);
    if life == Some(Life::Ended) && tags::is_candidate(audit.jvmti.tag(instance)?) {
        // Most were ended long ago. Any other code that changes the tag of an ended instance
        // removes it, too, so this needs no lock.
        audit.jvmti.set_tag(instance, 0)?;
        return Ok(false);
    }
    let _lock = audit.lock_tags();
    let found = audit.jvmti.tag(instance)?;
    if tags::is_candidate(found) {
        let life = adopt(context, classes, instance)?;
        if life == Some(Life::Ended) {
            audit.jvmti.set_tag(instance, 0)?;
        }
        return Ok(matches!(life, Some(Life::Unborn | Life::Open)));
    }
    match (life, tags::instance(found)) {
        // Adopted by an earlier inspection, and ended since by code without a hook.
        (Some(Life::Ended), Some(id)) => {
            audit.jvmti.set_tag(instance, 0)?;
            audit.session.unadopt(id);
            Ok(false)
        }
        (_, Some(_)) => Ok(true),
        (_, None) => Ok(false),
    }
}

/// Adopts a marked instance if it is open.
fn adopt(
    Context { agent, audit, jni }: Context<'_>,
    classes: &Classes,
    instance: jobject,
) -> Result<Option<Life>> {
    let kind = classes.kind(jni, instance);
    let life = classes.life(jni, kind, instance);
    match life {
        Some(Life::Open) => {
            // No thread created it for this audit, so any shard will do.
            let id = audit.session.id(ThreadId::UNKNOWN);
            // Before the tag: an `end()` that sees the tag takes no lock.
            audit.session.record_adopted(id, kind, agent.now()).map_err(out_of_memory)?;
            if let Err(error) = audit.jvmti.set_tag(instance, id.0.cast_signed()) {
                audit.session.unadopt(id);
                return Err(error);
            }
        }
        Some(_) => {}
        None => audit.session.record_unreadable("an instance's state could not be read"),
    }
    Ok(life)
}
