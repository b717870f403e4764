//! The search for streams that were open before the audit began, and how it and the hooks keep out of each other's way.
//!
//! One walk over the heap marks every stream that has no tag yet; each is then looked at, and adopted if it is open.
//! Meanwhile the program goes on: constructors return and `end()` is called on marked streams. Both sides take turns
//! with a stream's tag. Invariant: a stream is in the ledger once: as created if its constructor's return was seen, else
//! as adopted if it was open and its `end()` is still to be seen.

use super::agent::Agent;
use super::audit::Audit;
use super::classes::{Classes, Life};
use super::env::{Result, jobject, jvmtiError};
use super::jni::Jni;
use super::tag::{self, CANDIDATE, ENDING, SEARCHED};
use crate::event::{InstanceId, ThreadId};
use std::time::{Duration, Instant};

/// When to look at what was found: at once, and again for constructors and `end()`s that were under way in the
/// bytecode that has no hooks.
const LOOKS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(2), Duration::from_millis(10), Duration::from_millis(40)];

/// Room for local references beside those to streams: every loaded class.
const ROOM: usize = 65_536;

/// A constructor returned: tags its stream, and enters it by `created`.
#[inline]
pub(super) fn tag_created<T>(
    audit: &Audit,
    stream: jobject,
    id: InstanceId,
    created: impl FnOnce() -> T,
) -> Result<T> {
    if !audit.has_searched() {
        audit.jvmti.set_tag(stream, id.0.cast_signed())?;
        return Ok(created());
    }
    let _turn = audit.is_searching().then(|| audit.turn());
    // Found by the search between the stream's native part and this hook: it is no stranger.
    let before = audit.jvmti.tag(stream)?;
    audit.jvmti.set_tag(stream, id.0.cast_signed())?;
    if let Some(adopted) = tag::instance(before) {
        audit.session.disowned(adopted);
    }
    Ok(created())
}

/// `end()` begins: the instance that the stream is followed as, if it is.
#[inline]
pub(super) fn tag_ending(
    agent: &Agent,
    audit: &Audit,
    jni: Jni,
    stream: jobject,
) -> Result<Option<InstanceId>> {
    let found = audit.jvmti.tag(stream)?;
    if tag::instance(found).is_some() || (found != CANDIDATE && !audit.is_searching()) {
        return Ok(tag::instance(found));
    }
    let _turn = audit.turn();
    let found = audit.jvmti.tag(stream)?;
    match found {
        // The search must not adopt what is ended by the time that somebody looks.
        0 if audit.is_searching() => audit.jvmti.set_tag(stream, ENDING)?,
        CANDIDATE => {
            let Some(classes) = agent.classes.get() else { return Ok(None) };
            if adopt(agent, audit, classes, jni, stream)? == Some(Life::Open) {
                return audit.jvmti.tag(stream).map(tag::instance);
            }
            audit.jvmti.set_tag(stream, 0)?;
        }
        _ => {}
    }
    Ok(tag::instance(found))
}

/// Finds and adopts what is open. The hooks have been in place since [`Audit::begin_search`]. How long the program
/// stood still is in the audit then.
pub(super) fn run(agent: &Agent, audit: &Audit, jni: Jni) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let no_room = Err(jvmtiError::OUT_OF_MEMORY);
    let marked = jni.with_locals(ROOM, || mark(audit, classes, jni)).unwrap_or(no_room);
    let looked = match marked {
        Ok(0) => Ok(()),
        Ok(found) => jni
            .with_locals(found, || look(agent, audit, classes, jni))
            .unwrap_or(Err(jvmtiError::OUT_OF_MEMORY)),
        Err(error) => Err(error),
    };
    audit.end_search(marked.is_ok_and(|found| found == 0));
    looked
}

/// Marks every stream without a tag. How many there are.
fn mark(audit: &Audit, classes: &Classes, jni: Jni) -> Result<usize> {
    let is_stream = |class: &jobject| {
        jni.is_assignable(*class, classes.inflater) || jni.is_assignable(*class, classes.deflater)
    };
    let searched: Vec<_> = audit.jvmti.loaded_classes()?.into_iter().filter(is_stream).collect();
    for class in &searched {
        audit.jvmti.set_tag(*class, SEARCHED)?;
    }
    let began = Instant::now();
    let found = audit.jvmti.tag_instances_of_tagged_classes(CANDIDATE);
    audit.set_stood_still(began.elapsed());
    for class in &searched {
        audit.jvmti.set_tag(*class, 0)?;
    }
    found
}

/// Looks at each marked stream, more than once while there is doubt.
fn look(agent: &Agent, audit: &Audit, classes: &Classes, jni: Jni) -> Result<()> {
    let mut streams = audit.jvmti.objects_with(CANDIDATE)?;
    for wait in LOOKS {
        if streams.is_empty() {
            break;
        }
        std::thread::sleep(wait);
        let mut doubtful = Vec::new();
        for stream in streams {
            let _turn = audit.turn();
            let found = audit.jvmti.tag(stream)?;
            let life = match found {
                CANDIDATE => adopt(agent, audit, classes, jni, stream)?,
                // Adopted at an earlier look: still open, or ended by code without a hook?
                _ => life(classes, jni, stream),
            };
            match (life, tag::instance(found)) {
                (Some(Life::Unborn | Life::Open), _) => doubtful.push(stream),
                (Some(Life::Ended), Some(id)) => {
                    audit.jvmti.set_tag(stream, 0)?;
                    audit.session.disowned(id);
                }
                (Some(Life::Ended), None) if found == CANDIDATE => audit.jvmti.set_tag(stream, 0)?,
                _ => {}
            }
        }
        streams = doubtful;
    }
    Ok(())
}

fn life(classes: &Classes, jni: Jni, stream: jobject) -> Option<Life> {
    classes.life(jni, classes.kind(jni, stream), stream)
}

/// Adopts a marked stream if it is open.
fn adopt(agent: &Agent, audit: &Audit, classes: &Classes, jni: Jni, stream: jobject) -> Result<Option<Life>> {
    let kind = classes.kind(jni, stream);
    let life = classes.life(jni, kind, stream);
    match life {
        Some(Life::Open) => {
            // Nobody's, so any shard will do.
            let id = audit.session.id(ThreadId::NOBODY);
            audit.session.adopted(id, kind, agent.now());
            audit.jvmti.set_tag(stream, id.0.cast_signed())?;
        }
        Some(_) => {}
        None => audit.session.unreadable("a stream's state could not be read"),
    }
    Ok(life)
}
