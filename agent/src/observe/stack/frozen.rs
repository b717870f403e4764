//! Frozen frames: the part of a mounted virtual thread's stack that is still in the heap.
//!
//! A virtual thread that has blocked continues with its innermost frames on the stack. Below them
//! is the return barrier, and the rest is in stack chunks, each an object of the class StackChunk.
//! Its fields are read by JNI. Its frames are no field, so GetLongField reads them with field ids
//! that no class has: HotSpot's ids are offsets. It reads such a word between two looks at its
//! counter of safepoints, and waits for one that is under way. No frame in a chunk changes while
//! its thread is mounted, and a reference to a chunk follows it when a collector moves it.
//!
//! With one exception: a local reference is an address that ZGC corrects when its thread enters the
//! JVM the next time. A thread that sleeps across a pause reads old memory afterwards. Hence the
//! epoch. Invariants: what was read is believed only if no GC pause began or ended since the walk
//! of the chunks began; no index is outside a chunk; the key is that of the same frames on the
//! stack.

use super::code::{Blob, Code, RETURNS, Return, classify, is_deoptimised};
use super::layout::Layout;
use super::self_test;
use super::walk::{
    Kinds, MAX_CODE, MAX_FRAME, OwnStack, Physical, Progress, Request, Visitor, Walked, Why,
    check_entry, method_id,
};
use crate::state::context::Context;
use crate::sys::jni::{GetLongField, Jni, jfieldID};
use crate::sys::jvmti::{Jvmti, jclass, jobject};
use crate::sys::memory::{Checked, Reader};
use crate::sys::vm_structs::{self, VmStructs};
use std::ffi::CStr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use zaudit_core::report::WalkState;

/// The JDKs whose chunks are known.
const RELEASES: RangeInclusive<u32> = 21..=28;

/// How often the field of a JavaThread must have been seen where no table says where it is.
const ENOUGH: u32 = 3;

/// How far the frames on the stack may reach when it is looked for, in bytes.
const MAX_MOUNTED: usize = 1 << 16;

/// How far above the frame that returns to the barrier its continuation's entry may be: only
/// arguments are between them.
const MAX_ARGUMENTS: usize = 2_048;

/// How often chunks are read again because of a GC pause.
const MAX_RETRIES: usize = 3;

/// How many chunks a stack may have.
const MAX_CHUNKS: usize = 10_000;

/// The largest chunk, in words.
const MAX_WORDS: usize = 1 << 24;

/// How often a ContinuationEntry is looked for at each opportunity; after that at one of
/// [`RARELY`]. A continuation that the program made has none where a virtual thread has it.
const MAX_LOOKS: u32 = 64;
const RARELY: u32 = 16;

/// How often the layout is looked for: a look-up may fail where little stack is left.
const MAX_ATTEMPTS: u8 = 3;

/// How many local references the look-up needs.
const LOCAL_REFS: usize = 16;

/// Odd during a GC pause, and another number after it.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Whether the audit under way wants frozen frames to be read, and knows of GC pauses.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Why frozen frames cannot be read, beside what `FOUND` says.
static UNAVAILABLE: OnceLock<String> = OnceLock::new();

/// The layout, or why there is none.
static FOUND: OnceLock<Result<Frozen, String>> = OnceLock::new();

/// Whether a thread looks for the layout.
static SEARCHING: AtomicBool = AtomicBool::new(false);

/// How often it was looked for in vain.
static ATTEMPTS: AtomicU8 = AtomicU8::new(0);

/// In a JavaThread: the address of its innermost ContinuationEntry. 0 until it was seen there.
static ENTRY: AtomicUsize = AtomicUsize::new(0);

/// How often it was looked for.
static LOOKS: AtomicU32 = AtomicU32::new(0);

/// Where it may be.
static SEEN: Mutex<Seen> = Mutex::new(Seen { offsets: Vec::new(), times: 0 });

/// None of these is on the path of a known stack, except loads, for which it does not matter.
const ORDER: Ordering = Ordering::SeqCst;

/// GarbageCollectionStart. If the event before it was missed, the epoch is a new one all the same.
pub(super) fn pause_begins() {
    let next = |epoch: u64| Some(epoch.wrapping_add(2) | 1);
    let _ = EPOCH.fetch_update(ORDER, ORDER, next);
}

/// GarbageCollectionFinish.
pub(super) fn pause_ends() {
    let next = |epoch: u64| Some(epoch.wrapping_add(2) & !1);
    let _ = EPOCH.fetch_update(ORDER, ORDER, next);
}

/// The number of GC pauses, if none is under way.
fn epoch() -> Result<u64, Why> {
    let epoch = EPOCH.load(ORDER);
    if epoch & 1 == 0 { Ok(epoch) } else { Err(Why::Pause) }
}

/// Whether no pause has begun or ended since then.
#[inline(always)]
fn is_still(before: u64) -> bool {
    #[cfg(feature = "fault-injection")]
    if crate::sys::fault_injection::without_epoch() {
        return true;
    }
    EPOCH.load(ORDER) == before
}

/// An audit begins that wants frozen frames to be read, or does not. `pauses` makes its environment
/// report GC pauses.
pub(super) fn begin(
    jvmti: Jvmti,
    wanted: bool,
    pauses: impl FnOnce() -> crate::sys::jvmti::Result<()>,
) {
    let available = wanted && RELEASES.contains(&jvmti.release()) && {
        let on = pauses();
        if let Err(error) = &on {
            let _ = UNAVAILABLE.set(format!("GC events are not available: {error}"));
        }
        on.is_ok()
    };
    WANTED.store(available, Ordering::Release);
}

/// The layout, if frozen frames are to be read.
#[inline]
pub(super) fn wanted() -> Option<&'static Frozen> {
    let wanted = WANTED.load(Ordering::Acquire) && ENTRY.load(Ordering::Acquire) != 0;
    match FOUND.get() {
        Some(Ok(frozen)) if wanted && self_test::frozen_failed().is_none() => Some(frozen),
        _ => None,
    }
}

/// A stack has frozen frames: looks for what is needed to read them, unless that is known. Their
/// classes are initialised by now; to look earlier would initialise them in every program.
#[cold]
#[inline(never)]
pub(super) fn find(Context { agent, jni, .. }: Context<'_>, layout: &Layout, any: jclass) {
    let known = FOUND.get().is_some_and(|found| found.is_err() || ENTRY.load(ORDER) != 0)
        || UNAVAILABLE.get().is_some();
    if known || !WANTED.load(ORDER) || SEARCHING.swap(true, ORDER) {
        return;
    }
    // No lock is held around JNI: a debugger may suspend this thread.
    let _ = jni.with_locals(LOCAL_REFS, || match FOUND.get() {
        Some(Ok(frozen)) => {
            let looks = LOOKS.load(ORDER).saturating_add(1);
            LOOKS.store(looks, ORDER);
            if looks <= MAX_LOOKS || looks.is_multiple_of(RARELY) {
                frozen.see_entry(layout, jni);
            }
        }
        Some(Err(_)) => {}
        None => {
            let found = Frozen::find(agent.jvmti, jni, layout, any);
            if found.is_ok() || ATTEMPTS.fetch_add(1, ORDER) + 1 >= MAX_ATTEMPTS {
                let _ = FOUND.set(found);
            }
        }
    });
    SEARCHING.store(false, ORDER);
}

/// Whether frozen frames are read, and why not.
pub(super) fn state() -> (WalkState, Option<String>) {
    if let Some(why) = self_test::frozen_failed() {
        return (WalkState::Failed, Some(why.to_owned()));
    }
    if let Some(why) = UNAVAILABLE.get() {
        return (WalkState::Unsupported, Some(why.clone()));
    }
    match FOUND.get() {
        _ if !WANTED.load(Ordering::Acquire) => (WalkState::Off, None),
        Some(Err(why)) => (WalkState::Unsupported, Some(why.clone())),
        Some(Ok(_)) if ENTRY.load(ORDER) == 0 && LOOKS.load(ORDER) > MAX_LOOKS => {
            let why = "the entry of a continuation was not found";
            (WalkState::Unsupported, Some(why.into()))
        }
        _ => (WalkState::On, None),
    }
}

/// Where chunks are, and where they keep their frames.
pub(super) struct Frozen {
    jvmti: Jvmti,
    get_long: GetLongField,
    virtual_thread: jclass,
    /// `VirtualThread.cont`.
    continuation: jfieldID,
    /// `Continuation.tail`.
    tail: jfieldID,
    /// Whether a reference has 4 bytes: 0 is null then.
    narrow: bool,
    /// `StackChunk.parent`, `size`, `sp` and `bottom`; the numbers are in words.
    parent: jfieldID,
    size: jfieldID,
    sp: jfieldID,
    bottom: jfieldID,
    ids: FieldIds,
    /// From a chunk's address to its first word.
    words: usize,
    /// From a chunk's address to two of its fields, as a test of made-up ids.
    size_offset: usize,
    sp_offset: usize,
    /// The size of a JavaThread, and where a table says that it has its ContinuationEntry.
    thread_size: usize,
    entry: Option<usize>,
    /// From a ContinuationEntry to its Continuation.
    entry_continuation: usize,
    /// From an interpreted frame's fp to its Method, and to its position, in words.
    method_slot: isize,
    position_slot: isize,
}

// SAFETY: global references, ids and functions are valid on every thread (JNI, "Referencing Java
// Objects").
unsafe impl Send for Frozen {}
// SAFETY: as above; they are only read.
unsafe impl Sync for Frozen {}

/// How HotSpot makes the id of a field from its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FieldIds {
    shift: u32,
    tag: usize,
}

impl FieldIds {
    /// From the ids of fields and their offsets, which must all agree.
    fn learn(fields: &[(usize, usize)]) -> Option<FieldIds> {
        let (id, _) = *fields.first()?;
        let mut shifts = (2..6).map(|shift| FieldIds { shift, tag: id & ((1 << shift) - 1) });
        let agrees = |ids: &FieldIds| {
            fields.iter().all(|(id, offset)| *offset > 0 && *id == ids.of(*offset))
        };
        let found = shifts.find(agrees)?;
        // More than one would mean that the offsets do not tell them apart.
        shifts.all(|other| !agrees(&other)).then_some(found)
    }

    #[inline(always)]
    fn of(self, offset: usize) -> usize {
        offset << self.shift | self.tag
    }
}

/// A chunk, whose size has been confirmed.
struct Chunk {
    object: jobject,
    /// In words: its size, its innermost frame, and the end of its frames.
    size: usize,
    sp: usize,
    bottom: usize,
}

impl Chunk {
    /// Checks where the caller of a compiled frame begins.
    #[inline(always)]
    fn caller(&self, sp: usize) -> Result<usize, Why> {
        // HotSpot takes the last two words for the end in some chunks. Not known when.
        if sp < self.bottom && sp + 2 >= self.bottom { Err(Why::FrozenFrame) } else { Ok(sp) }
    }
}

impl Frozen {
    fn find(jvmti: Jvmti, jni: Jni, layout: &Layout, any: jclass) -> Result<Frozen, String> {
        // Debug builds check field ids.
        if jvmti.system_property(c"jdk.debug").as_deref() != Some("release") {
            return Err("this JVM is a debug build".into());
        }
        let tables = VmStructs::find()?;
        // The checked functions of JNI end the process at an id that they do not know.
        if tables.flag("CheckJNICalls")? != Some(false) {
            return Err("the flag CheckJNICalls is on".into());
        }
        if tables.flag("VMContinuations")? != Some(true) {
            return Err("the flag VMContinuations is off".into());
        }
        let get_long = GetLongField::of(jni);
        let is_own = |address| layout.is_code(address) || vm_structs::is_in_library(address);
        if !is_own(get_long.address()) {
            return Err("another agent has replaced the JNI function GetLongField".into());
        }
        let class = |name: &CStr| {
            jni.boot_class(any, name).ok_or_else(|| format!("no class {}", name.to_string_lossy()))
        };
        let field = |class, name: &CStr, signature: &CStr| {
            let found = jni.field(class, name, signature);
            found.ok_or_else(|| format!("no field {}", name.to_string_lossy()))
        };
        let thread = class(c"java.lang.VirtualThread")?;
        let continuation = class(c"jdk.internal.vm.Continuation")?;
        let chunk = class(c"jdk.internal.vm.StackChunk")?;
        let of_continuation = c"Ljdk/internal/vm/Continuation;";
        let of_chunk = c"Ljdk/internal/vm/StackChunk;";
        let (tail, parent) =
            (field(continuation, c"tail", of_chunk)?, field(chunk, c"parent", of_chunk)?);
        let (size, sp, bottom) = (
            field(chunk, c"size", c"I")?,
            field(chunk, c"sp", c"I")?,
            field(chunk, c"bottom", c"I")?,
        );
        let unsafe_class = class(c"jdk.internal.misc.Unsafe")?;
        let the_unsafe = jni
            .static_field(unsafe_class, c"theUnsafe", c"Ljdk/internal/misc/Unsafe;")
            .map(|field| jni.static_object_field(unsafe_class, field))
            .filter(|found| !found.is_null())
            .ok_or("no Unsafe")?;
        let offset = |class, name| {
            let found = jni.call_long(the_unsafe, c"objectFieldOffset", (class, name));
            found.and_then(|offset| usize::try_from(offset).ok()).ok_or("a field has no offset")
        };
        let (size_offset, sp_offset) = (offset(chunk, c"size")?, offset(chunk, c"sp")?);
        let ids = FieldIds::learn(&[
            (size as usize, size_offset),
            (sp as usize, sp_offset),
            (bottom as usize, offset(chunk, c"bottom")?),
            (parent as usize, offset(chunk, c"parent")?),
            (tail as usize, offset(continuation, c"tail")?),
        ])
        .ok_or("field ids are made in another way")?;
        // The words begin where an object of the class without any would end.
        let klass_field = tables.address("java_lang_Class", "_klass_offset")?;
        let mut memory = Checked::new();
        let klass_offset: u32 = memory.get(klass_field).ok_or("no offset of a class's Klass")?;
        // SAFETY: the offset is that of a word of every Class object, the function was found to be
        // HotSpot's, and its ids are known.
        let klass = unsafe { get_long.read(jni, chunk, ids.of(klass_offset as usize)) };
        let helper: Option<u32> = memory.get(klass + tables.offset("Klass", "_layout_helper")?);
        let words = helper.filter(|size| (16..=512).contains(size)).ok_or("no size of a chunk")?;
        let frozen = Frozen {
            jvmti,
            get_long,
            virtual_thread: jni.global(thread).ok_or("no global reference")?,
            continuation: field(thread, c"cont", of_continuation)?,
            tail,
            narrow: tables.flag("UseCompressedOops")? == Some(true),
            parent,
            size,
            sp,
            bottom,
            ids,
            words: words as usize & !7,
            size_offset,
            sp_offset,
            thread_size: tables.size("JavaThread")?,
            // From JDK 25 on, or a little earlier.
            entry: tables.offset("JavaThread", "_cont_entry").ok(),
            // Between the fields for its parent and its flags. `see_entry` makes sure.
            entry_continuation: layout.entry_parent + 8,
            method_slot: -3,
            position_slot: -8,
        };
        #[cfg(feature = "fault-injection")]
        let frozen = frozen.sabotaged();
        Ok(frozen)
    }

    /// Changes the field that `ZAUDIT_FAULT=walk-frozen_FIELD+8` or `-8` names.
    #[cfg(feature = "fault-injection")]
    fn sabotaged(mut self) -> Frozen {
        let Some((field, by)) = crate::sys::fault_injection::walk() else { return self };
        match field.as_str() {
            "frozen_words" => self.words = self.words.wrapping_add_signed(by),
            "frozen_shift" => {
                self.ids.shift = self.ids.shift.wrapping_add_signed(by.signum() as i32);
            }
            "frozen_method_slot" => self.method_slot += by.signum(),
            "frozen_position_slot" => self.position_slot += by.signum(),
            "frozen_entry" => {
                self.entry = self.entry.map(|entry| entry.wrapping_add_signed(by));
            }
            "frozen_continuation" => {
                self.entry_continuation = self.entry_continuation.wrapping_add_signed(by);
            }
            "frozen_sp" => self.sp_offset = self.sp_offset.wrapping_add_signed(by),
            _ => {}
        }
        self
    }

    /// The current thread, which is in a hook, has frozen frames: looks where its JavaThread has
    /// the address of the ContinuationEntry. That is on the stack, and is known by its contents.
    fn see_entry(&self, layout: &Layout, jni: Jni) {
        let Ok(before) = epoch() else { return };
        let Ok(thread) = self.jvmti.current_thread() else { return };
        if !jni.is_instance(thread, self.virtual_thread) {
            return;
        }
        let continuation = jni.object_field(thread, self.continuation);
        let mut memory = Checked::new();
        let own = (jni.raw() as usize).wrapping_sub(layout.env);
        // A local reference is the address of an address.
        let (Some(object), Some(sp), Some(base)) = (
            memory.get::<usize>(continuation.expose_provenance()),
            memory.get::<usize>(own + layout.anchor.sp),
            memory.get::<usize>(own + layout.stack_base),
        ) else {
            return;
        };
        let end = base.min(sp.saturating_add(MAX_MOUNTED)).saturating_sub(64);
        let mut offsets = Vec::new();
        for entry in (sp.next_multiple_of(16)..end).step_by(16) {
            let is_entry = memory.get(entry + self.entry_continuation) == Some(object)
                && memory.get(entry + layout.entry_parent) == Some(0_usize)
                && memory.get(entry + layout.entry_flags) == Some(1_u32);
            if is_entry {
                let here = |offset: &usize| memory.get(own + *offset) == Some(entry);
                offsets.extend((0..self.thread_size).step_by(8).filter(here));
            }
        }
        // What was read may be wrong if a collector moved the object meanwhile.
        if is_still(before)
            && let Ok(mut seen) = SEEN.lock()
            && let Some(offset) = seen.agree(&offsets, self.entry)
        {
            ENTRY.store(offset, ORDER);
        }
    }

    /// Continues a walk that has come to the return barrier. Calls the JVM.
    #[inline(never)]
    pub(super) fn walk<R: Reader, V: Visitor>(
        &self,
        layout: &Layout,
        jni: Jni,
        request: Request,
        (barrier, progress): (Barrier<'_>, Progress),
        reader: &mut R,
        visitor: &mut V,
    ) -> Result<Walked, Why> {
        // A visitor has seen the frames that would be walked again.
        let mut retries = if V::SEES { 0 } else { MAX_RETRIES };
        loop {
            let before = epoch()?;
            let chunks = Chunks { frozen: self, layout, jni, request, before };
            let walked = chunks.walk(barrier, progress, reader, visitor);
            let why = match walked {
                Ok(walked) if is_still(before) => return Ok(walked),
                Err(why) if is_still(before) => why,
                _ => Why::Pause,
            };
            if why != Why::Pause || retries == 0 {
                return Err(if why.is_impossible() { Why::FrozenFrame } else { why });
            }
            retries -= 1;
        }
    }
}

/// Offsets in a JavaThread where the address of its ContinuationEntry may be.
struct Seen {
    /// Those where it was each time.
    offsets: Vec<usize>,
    times: u32,
}

impl Seen {
    /// It was found here. Returns the offset once there is no doubt.
    fn agree(&mut self, offsets: &[usize], exported: Option<usize>) -> Option<usize> {
        if let Some(exported) = exported {
            return offsets.contains(&exported).then_some(exported);
        }
        if self.times == 0 {
            self.offsets = offsets.to_vec();
        } else {
            self.offsets.retain(|offset| offsets.contains(offset));
        }
        self.times = if self.offsets.is_empty() { 0 } else { self.times + 1 };
        match *self.offsets {
            [only] if self.times >= ENOUGH => Some(only),
            _ => None,
        }
    }
}

/// Where a walk on the stack came to the return barrier.
#[derive(Clone, Copy)]
pub(super) struct Barrier<'a> {
    pub(super) stack: &'a OwnStack,
    /// The JavaThread.
    pub(super) thread: usize,
    /// The end of the frame that returns there.
    pub(super) sp: usize,
}

/// One walk of the chunks.
struct Chunks<'a> {
    frozen: &'a Frozen,
    layout: &'a Layout,
    jni: Jni,
    request: Request,
    /// The epoch when it began.
    before: u64,
}

impl Chunks<'_> {
    /// The innermost chunk of the current thread. A local reference.
    fn innermost<R: Reader>(
        &self,
        Barrier { stack, thread, sp }: Barrier<'_>,
        reader: &mut R,
    ) -> Result<jobject, Why> {
        // SAFETY: a field of the current thread's own JavaThread.
        let entry = unsafe { reader.read::<usize>(thread + ENTRY.load(Ordering::Relaxed)) };
        let entry = entry.ok_or(Why::Unmapped)?;
        if entry < sp || entry - sp > MAX_ARGUMENTS || entry & 15 != 0 {
            return Err(Why::FrozenFrame);
        }
        check_entry(self.layout, reader, stack, entry)?;
        let continuation = entry + self.frozen.entry_continuation;
        if stack.word(reader, continuation)? == 0 {
            return Err(Why::FrozenFrame);
        }
        // The entry is a GC root like a local reference, and has the same form.
        let reference = std::ptr::with_exposed_provenance_mut(continuation);
        let tail = self.jni.object_field(reference, self.frozen.tail);
        if tail.is_null() { Err(Why::FrozenFrame) } else { Ok(tail) }
    }

    fn walk<R: Reader, V: Visitor>(
        &self,
        barrier: Barrier<'_>,
        mut progress: Progress,
        reader: &mut R,
        visitor: &mut V,
    ) -> Result<Walked, Why> {
        let mut object = self.innermost(barrier, reader)?;
        let frames = progress.frames;
        for _ in 0..MAX_CHUNKS {
            let walked = self
                .chunk(object)
                .and_then(|chunk| self.frames(&chunk, &mut progress, reader, visitor));
            let parent = match walked {
                Ok(false) => self.parent(object),
                _ => std::ptr::null_mut(),
            };
            match walked {
                // The JVM frees the reference when the hook returns.
                Err(why) => return Err(why),
                Ok(true) => return Ok(progress.cut()),
                Ok(false) if !parent.is_null() => {
                    self.jni.delete_local(object);
                    object = parent;
                }
                Ok(false) if progress.frames == frames => return Err(Why::FrozenFrame),
                Ok(false) => return Ok(progress.end()),
            }
        }
        Err(Why::FrozenFrame)
    }

    /// The chunk outside this one, or null. A local reference.
    #[inline(always)]
    fn parent(&self, chunk: jobject) -> jobject {
        let (jni, parent) = (self.jni, self.frozen.parent);
        // To read a number is ten times as fast.
        if self.frozen.narrow && jni.int_field(chunk, parent) == 0 {
            return std::ptr::null_mut();
        }
        jni.object_field(chunk, parent)
    }

    /// Reads where the frames of a chunk are.
    fn chunk(&self, object: jobject) -> Result<Chunk, Why> {
        let (frozen, jni) = (self.frozen, self.jni);
        let number = |field| usize::try_from(jni.int_field(object, field)).ok();
        let size = number(frozen.size).filter(|size| *size <= MAX_WORDS);
        let (Some(size), Some(sp), Some(bottom)) = (size, number(frozen.sp), number(frozen.bottom))
        else {
            return Err(self.unless_paused(Why::FrozenFrame));
        };
        // From here on the size bounds all that is read.
        if !is_still(self.before) {
            return Err(Why::Pause);
        }
        if sp > size || bottom > size {
            return Err(Why::FrozenFrame);
        }
        if !self_test::trusted().has(Kinds::FROZEN) {
            self.check_ids(object, size, sp)?;
        }
        Ok(Chunk { object, size, sp, bottom })
    }

    fn unless_paused(&self, why: Why) -> Why {
        if is_still(self.before) { why } else { Why::Pause }
    }

    /// Reads two fields of a chunk with made-up ids, as a test of those.
    #[cold]
    fn check_ids(&self, object: jobject, size: usize, sp: usize) -> Result<(), Why> {
        let frozen = self.frozen;
        for (offset, expected) in [(frozen.size_offset, size), (frozen.sp_offset, sp)] {
            // 8 bytes that end where the field of 4 bytes does, or begin with it.
            let (start, shift) = if offset & 4 != 0 { (offset - 4, 32) } else { (offset, 0) };
            // SAFETY: every chunk has more than the 8 bytes of its header and of these fields.
            let word = unsafe { frozen.get_long.read(self.jni, object, frozen.ids.of(start)) };
            if (word >> shift) as u32 as usize != expected {
                return Err(self.unless_paused(Why::FrozenFrame));
            }
        }
        Ok(())
    }

    /// A word of a chunk.
    #[inline(always)]
    fn word(&self, chunk: &Chunk, index: usize) -> Result<usize, Why> {
        if index >= chunk.size {
            return Err(Why::FrozenFrame);
        }
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::sleep_between_reads("frozen");
        let frozen = self.frozen;
        let id = frozen.ids.of(frozen.words + 8 * index);
        // SAFETY: the reference is a chunk's, the function is HotSpot's own, and the word is one of
        // the chunk, whose size was read in this epoch.
        Ok(unsafe { frozen.get_long.read(self.jni, chunk.object, id) })
    }

    /// Walks the frames of a chunk, from the innermost outwards. Returns whether the walk has as
    /// many as it wants.
    #[inline(always)]
    fn frames<R: Reader, V: Visitor>(
        &self,
        chunk: &Chunk,
        progress: &mut Progress,
        reader: &mut R,
        visitor: &mut V,
    ) -> Result<bool, Why> {
        let (layout, request) = (self.layout, self.request);
        let (interpreter, interpreter_size) = layout.interpreter;
        let mut sp = chunk.sp;
        // Where the frame would begin if its callee had not extended it.
        let mut unextended_sp = sp;
        while sp < chunk.bottom {
            if sp < 2 {
                return Err(Why::FrozenFrame);
            }
            let pc = self.word(chunk, sp - 1)?;
            if pc.wrapping_sub(interpreter) < interpreter_size {
                self.expect(Kinds::FROZEN_INTERPRETED, progress)?;
                // Addresses of the stack are kept as distances from the frame's own.
                let fp = (sp - 2).wrapping_add(self.word(chunk, sp - 2)?);
                if fp < sp || fp >= chunk.size || fp < 9 {
                    return Err(Why::FrozenFrame);
                }
                let method = self.word(chunk, fp.wrapping_add_signed(self.frozen.method_slot))?;
                let position =
                    self.word(chunk, fp.wrapping_add_signed(self.frozen.position_slot))?;
                // Before the method is followed.
                if !is_still(self.before) {
                    return Err(Why::Pause);
                }
                let (id, constant) = method_id(layout, reader, method)?;
                let offset = position.wrapping_sub(constant);
                let index = offset.wrapping_sub(layout.const_method_size);
                if index > MAX_CODE {
                    return Err(Why::FrozenFrame);
                }
                if V::SEES {
                    visitor.frame(Physical::Interpreted(id, index as i64));
                }
                progress.interpreted(id, offset);
                if progress.frames >= request.frames {
                    return Ok(true);
                }
                let locals = fp.wrapping_add(self.word(chunk, fp - 7)?);
                // The arguments of the outermost frame are beyond the end of the frames.
                if locals < fp || locals >= chunk.size {
                    return Err(Why::FrozenFrame);
                }
                if locals + 1 >= chunk.bottom {
                    return Ok(false);
                }
                unextended_sp = fp.wrapping_add(self.word(chunk, fp - 1)?);
                if unextended_sp < fp || unextended_sp > chunk.bottom {
                    return Err(Why::FrozenFrame);
                }
                sp = fp + 2;
                continue;
            }
            if !V::SEES
                && request.trusted.has(Kinds::FROZEN_COMPILED)
                && let Some(known) = RETURNS.get(layout, reader, pc).filter(Return::is_java)
            {
                progress.kinds.add(Kinds::FROZEN_COMPILED);
                progress.compiled(layout, pc, known.id);
                if progress.frames >= request.frames {
                    return Ok(true);
                }
                sp = chunk.caller(unextended_sp + known.size / 8)?;
                unextended_sp = sp;
                continue;
            }
            let blob = Blob::of(layout, reader, pc)?;
            // A native method or a frame of the JVM cannot be below the return barrier.
            let name = blob.word(reader, layout.blob_name)?;
            if classify(name)? != Code::Compiled {
                return Err(Why::Stub);
            }
            self.expect(Kinds::FROZEN_COMPILED, progress)?;
            let size = blob.number(reader, layout.frame_size)? as usize * 8;
            if !(16..=MAX_FRAME).contains(&size) || blob.at + layout.nmethod_end > blob.high {
                return Err(Why::FrozenFrame);
            }
            let id = blob.number(reader, layout.compile_id)?;
            let mut position = pc;
            if !is_deoptimised(layout, reader, &blob, pc)? {
                RETURNS.enter(layout, reader, pc, &blob, Return { name, size, id });
            } else {
                self.expect(Kinds::FROZEN_DEOPTIMISED, progress)?;
                let slot = blob.number(reader, layout.original_pc)? as usize;
                if slot >= size || slot & 7 != 0 {
                    return Err(Why::FrozenFrame);
                }
                position = self.word(chunk, unextended_sp + slot / 8)?;
                let length = blob.number(reader, layout.blob_size)? as usize;
                if position.wrapping_sub(blob.at) >= length {
                    return Err(Why::FrozenFrame);
                }
            }
            if V::SEES {
                let method = blob.word(reader, layout.compiled_method)?;
                visitor.frame(Physical::Compiled(method_id(layout, reader, method)?.0));
            }
            progress.compiled(layout, position, id);
            if progress.frames >= request.frames {
                return Ok(true);
            }
            sp = chunk.caller(unextended_sp + size / 8)?;
            unextended_sp = sp;
        }
        Ok(false)
    }

    /// A frame is of this kind.
    #[inline(always)]
    fn expect(&self, kind: Kinds, progress: &mut Progress) -> Result<(), Why> {
        progress.kinds.add(kind);
        if self.request.trusted.has(kind) { Ok(()) } else { Err(Why::UntestedFrozen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_ids_are_learnt_only_if_all_agree() {
        let of = |shift: u32, offsets: &[usize]| -> Vec<(usize, usize)> {
            offsets.iter().map(|offset| (offset << shift | 2, *offset)).collect()
        };
        let offsets = [12, 16, 20, 24, 40];
        assert_eq!(FieldIds::learn(&of(2, &offsets)), Some(FieldIds { shift: 2, tag: 2 }));
        assert_eq!(FieldIds::learn(&of(3, &offsets)), Some(FieldIds { shift: 3, tag: 2 }));
        let mut wrong = of(2, &offsets);
        wrong[3].0 += 4;
        assert_eq!(FieldIds::learn(&wrong), None);
        assert_eq!(FieldIds::learn(&of(1, &offsets)), None);
        assert_eq!(FieldIds::learn(&of(2, &[0, 0])), None);
        assert_eq!(FieldIds::learn(&[]), None);
        assert_eq!(FieldIds { shift: 3, tag: 2 }.of(0x30), 0x182);
    }

    #[test]
    fn a_field_that_no_table_has_must_be_seen_again_and_again() {
        let mut seen = Seen { offsets: Vec::new(), times: 0 };
        assert_eq!(seen.agree(&[8, 16], None), None);
        assert_eq!(seen.agree(&[16, 24], None), None);
        assert_eq!(seen.agree(&[16], None), Some(16));
        assert_eq!(seen.agree(&[24], None), None, "in doubt again");
        assert_eq!(seen.agree(&[24, 32], None), None);
        for _ in 0..5 {
            assert_eq!(seen.agree(&[24, 32], None), None, "two are possible");
        }
        assert_eq!(seen.agree(&[24, 32], Some(32)), Some(32));
        assert_eq!(seen.agree(&[24, 32], Some(40)), None);
    }

    #[test]
    fn every_event_of_a_pause_makes_another_epoch() {
        let mut before = EPOCH.load(ORDER);
        // Also where an event is missed, because an audit begins or ends meanwhile.
        for begins in [true, false, false, true, true, false] {
            if begins {
                pause_begins()
            } else {
                pause_ends()
            }
            assert!(!is_still(before));
            assert_eq!(epoch().is_err(), begins);
            before = EPOCH.load(ORDER);
        }
    }
}
