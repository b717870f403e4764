//! Adoption: the search for instances that were open before the audit began, concurrent with the
//! hooks.
//!
//! By address, the heap walk reads the addresses of open native streams. By tag, and on JDK 8, it
//! marks every instance that has no tag yet; each is then inspected, and adopted if it is open.
//! Meanwhile the program runs: constructors return and `end()` is called on marked instances. A
//! lock ([`Audit::lock_tags`]) guards an instance's tag meanwhile. Invariant: an instance is in the
//! ledger once: as created if the hook saw its constructor return, else as adopted if it was open
//! and its `end()` is still to come.

use crate::observe::zipfs;
use crate::state::audit::Audit;
use crate::state::classes::{Classes, Life};
use crate::state::context::Context;
use crate::state::tags::{self, ENDING};
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Primitive, Result, jclass, jlong, jobject, jvmtiError, out_of_memory};
use std::collections::HashSet;
use std::ffi::CStr;
use std::ops::Range;
use std::time::{Duration, Instant};
use zaudit_core::ledger::{Ledger, NotEntered};
use zaudit_core::model::{InstanceId, Kind, Nanos};
use zaudit_instrument::Identity;

/// When marked instances are inspected: at once, and again for constructors and `end()` calls that
/// were running in bytecode without hooks. Each entry is the delay after the one before.
const RECHECK_DELAYS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::from_millis(40),
];

/// By address: how long a constructor or `end()` that was running in bytecode without hooks may
/// take.
const OLD_BYTECODE: Duration = Duration::from_millis(50);

/// Instances inspected at a time: HotSpot allows 65,536 local references (`MaxJNILocalCapacity`).
const BATCH: usize = 32_768;
/// Enough local references for every loaded class.
const LOCAL_REFS: usize = 32_768;

/// If there are more candidates, a GC comes first: most are garbage, and a GC is cheaper than their
/// inspection.
const GC_FIRST_ABOVE: usize = 50_000;
const MAX_CANDIDATES: usize = 100_000_000;

/// A constructor has returned: tags the instance.
#[inline]
pub(crate) fn tag_created(audit: &Audit, instance: jobject, id: InstanceId) -> Result<()> {
    if !audit.has_adopted() {
        return audit.jvmti.set_tag(instance, id.0.cast_signed());
    }
    let _lock = audit.is_adopting().then(|| audit.lock_tags());
    // The search may have adopted it between the native part of its constructor and this hook.
    let before = audit.jvmti.tag(instance)?;
    audit.jvmti.set_tag(instance, id.0.cast_signed())?;
    if let Some(adopted) = tags::instance(before) {
        audit.with_ledger(|ledger, _| ledger.unadopt(adopted));
    }
    Ok(())
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
pub(crate) fn run(context @ Context { agent, audit, .. }: Context<'_>) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    if audit.identity() == Identity::Tag {
        let (found_nothing, found) = mark_and_inspect(context, classes, inspect_batch);
        let entry_streams = {
            let _lock = audit.lock_tags();
            adopt_entry_streams(context)
        };
        audit.end_adoption(found_nothing);
        return found.and(entry_streams);
    }
    // A constructor or `end()` that runs in bytecode without hooks must be through before the
    // search: nothing else shows that it happened. Before the program begins there is none.
    if agent.has_begun() {
        std::thread::sleep(OLD_BYTECODE);
    }
    let owners = Kind::CLASSES.map(|kind| Some((kind, classes.stream_owner(kind)?)));
    let [Some(one), Some(other)] = owners else {
        // The search for paths to GC roots marks instances, too.
        let _lock = audit.lock_tags();
        let (found_nothing, found) = mark_and_inspect(context, classes, enter_batch);
        let found = found.inspect_err(|_| remove_marks(audit));
        let entry_streams = adopt_entry_streams(context);
        audit.end_adoption(found_nothing);
        return found.and(entry_streams);
    };
    let found =
        read_addresses(context, one).and_then(|()| read_addresses(context, other)).and_then(|()| {
            let _lock = audit.lock_tags();
            adopt_entry_streams(context)
        });
    audit.end_adoption(true);
    found
}

/// Marks all instances, and calls `inspect` with each batch of them. Also returns whether there
/// were none.
fn mark_and_inspect(
    context @ Context { agent, audit, jni }: Context<'_>,
    classes: &Classes,
    inspect: fn(Context<'_>, &Classes, jlong) -> Result<()>,
) -> (bool, Result<()>) {
    let marked = match mark(audit, classes, 0..GC_FIRST_ABOVE) {
        Ok(GC_FIRST_ABOVE) => agent
            .jvmti
            .force_gc()
            .and_then(|()| mark(audit, classes, GC_FIRST_ABOVE..MAX_CANDIDATES)),
        other => other,
    };
    let batches = marked.map_or(0, |found| found.div_ceil(BATCH));
    let inspected = (0..batches).try_for_each(|batch| {
        jni.with_locals(BATCH + LOCAL_REFS, || inspect(context, classes, tags::candidate(batch)))
            .unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))
    });
    (marked == Ok(0), marked.and(inspected))
}

/// Marks instances without a tag, in batches by their number. Returns the next number; if it is the
/// end of the range, there may be more instances.
fn mark(audit: &Audit, classes: &Classes, mut numbers: Range<usize>) -> Result<usize> {
    for class in [classes.inflater, classes.deflater] {
        walk(audit, class, || {
            let next = || numbers.next().map(|number| tags::candidate(number / BATCH));
            audit.jvmti.tag_instances(class, next)
        })?;
    }
    Ok(numbers.start)
}

/// Walks over the heap for a class, if that can have instances.
fn walk(audit: &Audit, class: jclass, walk: impl FnOnce() -> Result<()>) -> Result<()> {
    if !audit.jvmti.is_initialized(class)? {
        return Ok(());
    }
    let began = Instant::now();
    let walked = walk();
    audit.add_pause(began.elapsed());
    walked
}

/// Adopts the instances of a kind whose native streams are open, by the addresses in the objects
/// that own those: the heap walk itself reads them.
fn read_addresses(
    Context { agent, audit, jni }: Context<'_>,
    (kind, owner): (Kind, jclass),
) -> Result<()> {
    let mut found = Vec::new();
    let mut is_complete = true;
    let mut read = |class| {
        walk(audit, class, || {
            audit.jvmti.each_field(class, |field| {
                if let Primitive::Long(address) = field.value
                    && address != 0
                {
                    is_complete &= found.try_reserve(1).is_ok();
                    if is_complete {
                        found.push(InstanceId::of_address(address));
                    }
                }
                is_complete
            })
        })
    };
    read(owner)?;
    // Those of subclasses that override `end()` have owners of a class of their own.
    if agent.jvmti.release() <= LAST_WITH_FINALIZERS
        && let Some(class) = jni.boot_class(owner, finalizable(kind))
    {
        read(class)?;
        jni.delete_local(class);
    }
    let now = agent.recent();
    for id in found {
        enter_open(audit, id, kind, now)?;
    }
    if is_complete { Ok(()) } else { Err(jvmtiError::OUT_OF_MEMORY) }
}

/// JDK 11 has these classes.
fn finalizable(kind: Kind) -> &'static CStr {
    match kind {
        Kind::Inflater | Kind::ZipEntry => {
            c"java.util.zip.Inflater$InflaterZStreamRef$FinalizableZStreamRef"
        }
        Kind::Deflater => c"java.util.zip.Deflater$DeflaterZStreamRef$FinalizableZStreamRef",
    }
}

/// By address: enters an instance that the search saw open.
fn enter_open(audit: &Audit, id: InstanceId, kind: Kind, now: Nanos) -> Result<()> {
    // What was ended since the search began is not open, whatever the search saw; a hook that
    // frees it now waits for the lock.
    let ended = audit.lock_ended();
    let entered = if kind == Kind::ZipEntry { id.loan() } else { id };
    let known = audit.with_ledger(|ledger, _| ledger.knows(entered));
    if !ended.contains(&id) && !ended.contains(&entered) && known == Some(false) {
        enter(audit, id, kind, now)?;
    }
    Ok(())
}

/// Enters the open ones of a batch of marked instances by their addresses.
fn enter_batch(
    Context { agent, audit, jni }: Context<'_>,
    classes: &Classes,
    batch: jlong,
) -> Result<()> {
    for instance in audit.jvmti.objects_with(batch)? {
        audit.jvmti.set_tag(instance, 0)?;
        let Some(kind) = classes.kind_of(jni, instance) else { continue };
        let Some(address) = classes.native_address(jni, kind, instance) else {
            audit.session.record_unreadable("an instance's state could not be read");
            continue;
        };
        jni.delete_local(instance);
        if address == 0 {
            continue;
        }
        enter_open(audit, InstanceId::of_address(address), kind, agent.recent())?;
    }
    Ok(())
}

/// The last release in which a subclass that overrides `end()` may be collected without any call:
/// its finalizer calls that `end()`. Later ones always free the native stream (JDK-8187485).
const LAST_WITH_FINALIZERS: u32 = 11;

/// No constructor takes this long to store its native stream.
const CONSTRUCTION: Duration = Duration::from_secs(10);

/// By address: the live instances of subclasses that are gone while their native streams are not,
/// each with the millisecond of its creation. Nothing will ever free them, unless something is
/// doing that at this moment: an `end()` that has cleared the address and not reached its hook, or
/// the Cleaner after a GC.
pub(crate) fn find_gone(
    context @ Context { agent, audit, jni }: Context<'_>,
) -> Result<Vec<(InstanceId, Nanos)>> {
    if agent.jvmti.release() > LAST_WITH_FINALIZERS {
        return Ok(Vec::new());
    }
    let sites = audit.session.of_subclasses();
    // Whatever gets one of these addresses later is created in a later millisecond.
    let candidates = audit.live_before(agent.recent(), |site| sites.contains(&site));
    let mut candidates = candidates.map_err(out_of_memory)?;
    if candidates.is_empty() {
        return Ok(candidates);
    }
    let found = jni.with_locals(BATCH + LOCAL_REFS, || {
        let (mut found, mut unborn, mut is_complete) = (HashSet::new(), false, true);
        each_instance(context, |jni, instance, address| {
            unborn |= address.is_none();
            is_complete &= found.try_reserve(1).is_ok();
            if is_complete {
                found.insert(address);
            }
            jni.delete_local(instance);
        })?;
        if is_complete { Ok((found, unborn)) } else { Err(jvmtiError::OUT_OF_MEMORY) }
    });
    let (found, unborn) = found.unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))?;
    let now = agent.recent();
    // One whose constructor has not stored its native stream yet has no address, but is not gone.
    candidates.retain(|(id, created)| {
        !found.contains(&Some(id.address())) && (!unborn || now.since(*created) > CONSTRUCTION)
    });
    // Most have ended during the search.
    let retain_live = |ledger: &Ledger, _: &_| {
        candidates.retain(|(id, created)| ledger.is_live(*id, *created));
    };
    audit.with_ledger(retain_live).ok_or(jvmtiError::OUT_OF_MEMORY)?;
    Ok(candidates)
}

/// Calls `each` with every instance in the heap and the address of its native stream: 0 after its
/// end, and None before its constructor has stored one.
fn each_instance(
    Context { agent, audit, jni }: Context<'_>,
    mut each: impl FnMut(Jni, jobject, Option<jlong>),
) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let _lock = audit.lock_tags();
    let mut search = || {
        let marked = mark(audit, classes, 0..MAX_CANDIDATES)?;
        for batch in 0..marked.div_ceil(BATCH) {
            for instance in audit.jvmti.objects_with(tags::candidate(batch))? {
                audit.jvmti.set_tag(instance, 0)?;
                let Some(kind) = classes.kind_of(jni, instance) else { continue };
                each(jni, instance, classes.stream(jni, kind, instance).flatten());
            }
        }
        Ok(())
    };
    search().inspect_err(|_| remove_marks(audit))
}

/// Removes the marks of a search that has failed: later searches would pass over what has one.
fn remove_marks(audit: &Audit) {
    if audit.jvmti.untag(tags::is_candidate).is_err() {
        audit.session.record_unreadable("a search has left instances that later ones do not find");
    }
}

/// The live ones of these: instances, and streams of entries for loans.
pub(crate) fn find(
    context @ Context { audit, jni, .. }: Context<'_>,
    wanted: &[InstanceId],
) -> Result<Vec<(InstanceId, jobject)>> {
    let mut found = Vec::new();
    if wanted.iter().any(|id| id.is_loan()) {
        each_entry_stream(context, |stream, id| {
            match wanted.contains(&id.loan()) {
                true => found.push((id.loan(), stream)),
                false => jni.delete_local(stream),
            }
            Ok(())
        })?;
    }
    if wanted.iter().all(|id| id.is_loan()) {
        return Ok(found);
    }
    match audit.identity() {
        Identity::Tag => {
            let ids: Vec<jlong> = wanted.iter().map(|id| id.0.cast_signed()).collect();
            let tagged = audit.jvmti.objects_with_any(&ids)?;
            found.extend(
                tagged.into_iter().map(|(tag, object)| (InstanceId(tag.cast_unsigned()), object)),
            );
        }
        Identity::Address => each_instance(context, |jni, instance, address| {
            match address.map(InstanceId::of_address).filter(|id| wanted.contains(id)) {
                Some(id) => found.push((id, instance)),
                None => jni.delete_local(instance),
            }
        })?,
    }
    Ok(found)
}

/// Adopts the streams of entries that are open: each has an Inflater, which has been found.
fn adopt_entry_streams(context @ Context { agent, audit, jni }: Context<'_>) -> Result<()> {
    let adopt = || {
        each_entry_stream(context, |stream, id| {
            jni.delete_local(stream);
            enter_open(audit, id, Kind::ZipEntry, agent.recent())
        })
    };
    jni.with_locals(BATCH + LOCAL_REFS, adopt).unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))
}

/// Calls `each` with every open stream of an entry, and its Inflater's id.
fn each_entry_stream(
    context @ Context { agent, audit, jni }: Context<'_>,
    mut each: impl FnMut(jobject, InstanceId) -> Result<()>,
) -> Result<()> {
    let Some(classes) = agent.classes.get() else { return Ok(()) };
    let of_zip_file = c"java.util.zip.ZipFile$ZipFileInflaterInputStream";
    let Some(of_zip_file) = jni.boot_class(classes.inflater, of_zip_file) else { return Ok(()) };
    let in_zip_file = audit.follows_loans(classes.lender());
    let in_zipfs = classes.zipfs().is_some_and(|target| audit.follows_loans(target));
    let class = match (in_zip_file, in_zipfs) {
        (false, false) => return Ok(()),
        (true, false) => of_zip_file,
        // The class of those streams is anonymous.
        (_, true) => jni.superclass(of_zip_file),
    };
    let mut marked = 0..MAX_CANDIDATES;
    let mut search = || {
        walk(audit, class, || {
            let next = || marked.next().map(|number| tags::candidate(number / BATCH));
            audit.jvmti.tag_instances(class, next)
        })?;
        for batch in 0..marked.start.div_ceil(BATCH) {
            for stream in audit.jvmti.objects_with(tags::candidate(batch))? {
                audit.jvmti.set_tag(stream, 0)?;
                let own = jni.class_of(stream);
                let closed = match jni.same(own, of_zip_file) {
                    true => in_zip_file.then_some(c"closeRequested"),
                    false => (in_zipfs && zipfs::is_stream(context, own)?).then_some(c"isClosed"),
                };
                let inflater = closed.and_then(|closed| classes.lent(jni, own, stream, closed));
                jni.delete_local(own);
                let id = inflater.map(|it| audit.id_of(jni, classes, it)).transpose()?;
                inflater.into_iter().for_each(|inflater| jni.delete_local(inflater));
                match id.flatten() {
                    Some(id) => each(stream, id)?,
                    None => jni.delete_local(stream),
                }
            }
        }
        Ok(())
    };
    search().inspect_err(|_| remove_marks(audit))
}

/// Enters an adopted instance in the ledger.
fn enter(audit: &Audit, id: InstanceId, kind: Kind, now: Nanos) -> Result<()> {
    let enter = || {
        audit
            .with_ledger(|ledger, own| match kind {
                Kind::ZipEntry => ledger.adopted_loan(own, id, now),
                Kind::Inflater | Kind::Deflater => ledger.adopted(own, id, kind, now),
            })
            .unwrap_or(Err(NotEntered::OutOfMemory))
    };
    let mut entered = enter();
    while entered == Err(NotEntered::Full) {
        audit.grow().map_err(out_of_memory)?;
        entered = enter();
    }
    entered.map_err(|_| jvmtiError::OUT_OF_MEMORY)
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
            audit.with_ledger(|ledger, _| ledger.unadopt(id));
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
            let id = Ledger::next_id();
            // Before the tag: an `end()` that sees the tag takes no lock.
            enter(audit, id, kind, agent.recent())?;
            if let Err(error) = audit.jvmti.set_tag(instance, id.0.cast_signed()) {
                audit.with_ledger(|ledger, _| ledger.unadopt(id));
                return Err(error);
            }
        }
        Some(_) => {}
        None => audit.session.record_unreadable("an instance's state could not be read"),
    }
    Ok(life)
}
