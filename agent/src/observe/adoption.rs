//! The search for streams that were open before the audit began, and how it and the hooks keep out of each other's way.
//!
//! One walk over the heap marks every stream that has no tag yet; each is then looked at, and adopted if it is open.
//! Meanwhile the program goes on: constructors return and `end()` is called on marked streams. Both sides take turns
//! with a stream's tag. Invariant: a stream is in the ledger once: as created if its constructor's return was seen, else
//! as adopted if it was open and its `end()` is still to be seen.

use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::classes::{Classes, Life};
use crate::state::tags::{self, ENDING, SEARCHED};
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jlong, jobject, jvmtiError};
use std::ops::Range;
use std::time::{Duration, Instant};
use zaudit_core::model::{InstanceId, OutOfMemory, ThreadId};

/// When to look at what was found: at once, and again for constructors and `end()`s that were under way in the
/// bytecode that has no hooks.
const LOOKS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(2), Duration::from_millis(10), Duration::from_millis(40)];

/// Streams looked at in one go: HotSpot gives room for 65,536 local references (`MaxJNILocalCapacity`).
const BATCH: usize = 32_768;
/// Room for local references to every loaded class.
const ROOM: usize = 32_768;

/// Marked streams that are worth a look. Where there are more the heap is collected first.
const ENOUGH: usize = 50_000;
const MOST: usize = 100_000_000;

/// A constructor returned: tags its stream, and enters it by `created`.
#[inline]
pub(crate) fn tag_created<T>(
    audit: &Audit,
    stream: jobject,
    id: InstanceId,
    created: impl FnOnce() -> std::result::Result<T, OutOfMemory>,
) -> Result<T> {
    let entered = |created: std::result::Result<T, OutOfMemory>| match created {
        Ok(created) => Ok(created),
        Err(OutOfMemory) => {
            // It is not followed, so its `end()` and its death must not be looked for.
            audit.jvmti.set_tag(stream, 0)?;
            Err(jvmtiError::OUT_OF_MEMORY)
        }
    };
    if !audit.has_searched() {
        audit.jvmti.set_tag(stream, id.0.cast_signed())?;
        return entered(created());
    }
    let _turn = audit.is_searching().then(|| audit.turn());
    // Found by the search between the stream's native part and this hook: it is no stranger.
    let before = audit.jvmti.tag(stream)?;
    audit.jvmti.set_tag(stream, id.0.cast_signed())?;
    if let Some(adopted) = tags::instance(before) {
        audit.session.unadopt(adopted);
    }
    entered(created())
}

/// `end()` begins: the instance that the stream is followed as, if it is.
#[inline]
pub(crate) fn tag_ending(
    agent: &Agent,
    audit: &Audit,
    jni: Jni,
    stream: jobject,
) -> Result<Option<InstanceId>> {
    let found = audit.jvmti.tag(stream)?;
    if tags::instance(found).is_some() || (!tags::is_candidate(found) && !audit.is_searching()) {
        return Ok(tags::instance(found));
    }
    let _turn = audit.turn();
    let found = audit.jvmti.tag(stream)?;
    match found {
        // The search must not adopt what is ended by the time that somebody looks.
        0 if audit.is_searching() => audit.jvmti.set_tag(stream, ENDING)?,
        found if tags::is_candidate(found) => {
            let Some(classes) = agent.classes.get() else { return Ok(None) };
            if adopt(agent, audit, classes, jni, stream)? == Some(Life::Open) {
                return audit.jvmti.tag(stream).map(tags::instance);
            }
            audit.jvmti.set_tag(stream, 0)?;
        }
        _ => return Ok(tags::instance(found)),
    }
    Ok(None)
}

/// Finds and adopts what is open. The hooks have been in place since [`Audit::begin_search`].
pub(crate) fn run(agent: &Agent, audit: &Audit, jni: Jni) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let marked = match mark(audit, classes, jni, 0..ENOUGH) {
        // Mostly garbage of streams that were ended properly: cheaper to collect than to look at.
        Ok(ENOUGH) => agent.jvmti.force_gc().and_then(|()| mark(audit, classes, jni, ENOUGH..MOST)),
        other => other,
    };
    let batches = marked.map_or(0, |found| found.div_ceil(BATCH));
    let looked = (0..batches).try_for_each(|batch| {
        jni.with_locals(BATCH + ROOM, || look(agent, audit, classes, jni, tags::candidate(batch)))
            .unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))
    });
    audit.end_search(marked == Ok(0));
    marked.and(looked)
}

/// Marks streams without a tag, in batches by their number. The number of the next one; there may be more when it is
/// the end of the range.
fn mark(audit: &Audit, classes: &Classes, jni: Jni, mut numbers: Range<usize>) -> Result<usize> {
    jni.with_locals(ROOM, || {
        let is_stream = |class: &jobject| {
            jni.is_assignable(*class, classes.inflater) || jni.is_assignable(*class, classes.deflater)
        };
        let searched: Vec<_> = audit.jvmti.loaded_classes()?.into_iter().filter(is_stream).collect();
        for class in &searched {
            audit.jvmti.set_tag(*class, SEARCHED)?;
        }
        let began = Instant::now();
        let walked = audit
            .jvmti
            .tag_instances_of_tagged_classes(|| numbers.next().map(|number| tags::candidate(number / BATCH)));
        audit.add_pause(began.elapsed());
        for class in &searched {
            audit.jvmti.set_tag(*class, 0)?;
        }
        walked.map(|()| numbers.start)
    })
    .unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))
}

/// Looks at each marked stream, more than once while there is doubt.
fn look(agent: &Agent, audit: &Audit, classes: &Classes, jni: Jni, batch: jlong) -> Result<()> {
    let mut streams = audit.jvmti.objects_with(batch)?;
    for wait in LOOKS {
        if streams.is_empty() {
            break;
        }
        std::thread::sleep(wait);
        let mut doubtful = Vec::new();
        for stream in streams {
            if look_at(agent, audit, classes, jni, stream)? {
                doubtful.push(stream);
            }
        }
        streams = doubtful;
    }
    Ok(())
}

/// Looks at one marked stream. Whether it should be looked at again.
fn look_at(agent: &Agent, audit: &Audit, classes: &Classes, jni: Jni, stream: jobject) -> Result<bool> {
    let life = classes.life(jni, classes.kind(jni, stream), stream);
    if life == Some(Life::Ended) && tags::is_candidate(audit.jvmti.tag(stream)?) {
        // Most were ended long ago. Whoever else touches the tag of such a one takes it away, too: no turn is needed.
        audit.jvmti.set_tag(stream, 0)?;
        return Ok(false);
    }
    let _turn = audit.turn();
    let found = audit.jvmti.tag(stream)?;
    if tags::is_candidate(found) {
        let life = adopt(agent, audit, classes, jni, stream)?;
        if life == Some(Life::Ended) {
            audit.jvmti.set_tag(stream, 0)?;
        }
        return Ok(matches!(life, Some(Life::Unborn | Life::Open)));
    }
    match (life, tags::instance(found)) {
        // Adopted at an earlier look, and ended since by code without a hook.
        (Some(Life::Ended), Some(id)) => {
            audit.jvmti.set_tag(stream, 0)?;
            audit.session.unadopt(id);
            Ok(false)
        }
        (_, Some(_)) => Ok(true),
        (_, None) => Ok(false),
    }
}

/// Adopts a marked stream if it is open.
fn adopt(agent: &Agent, audit: &Audit, classes: &Classes, jni: Jni, stream: jobject) -> Result<Option<Life>> {
    let kind = classes.kind(jni, stream);
    let life = classes.life(jni, kind, stream);
    match life {
        Some(Life::Open) => {
            // Nobody's, so any shard will do.
            let id = audit.session.id(ThreadId::NOBODY);
            // Before the tag: an `end()` that sees the tag takes no turn.
            if audit.session.adopted(id, kind, agent.now()).is_err() {
                return Err(jvmtiError::OUT_OF_MEMORY);
            }
            if let Err(error) = audit.jvmti.set_tag(stream, id.0.cast_signed()) {
                audit.session.unadopt(id);
                return Err(error);
            }
        }
        Some(_) => {}
        None => audit.session.unreadable("a stream's state could not be read"),
    }
    Ok(life)
}
