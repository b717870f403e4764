//! The walk: from the hook outwards over the frames of the current thread, to a key for them.
//!
//! The key is of what the JVM itself goes by, the physical frames: of compiled code its number and
//! the position in it, of an interpreted frame the method's id and the position. Inlined frames
//! follow from the code. Invariants: equal keys mean equal Java frames; where a frame is not
//! understood, there is no key, but the reason.
//!
//! Five kinds of memory are read: the thread's own JavaThread, its own stack, the code cache as far
//! as it is in use, the methods that are on the stack, and the lists of method ids that their
//! classes have. Only such a list may be freed meanwhile. Frames in the heap are the matter of
//! `frozen`.

use super::code::{Blob, Code, RETURNS, Return, classify, is_deoptimised};
use super::frozen::{Barrier, Frozen};
use super::layout::{Bottom, Layout};
use crate::sys::jni::Jni;
use crate::sys::memory::{Direct, Reader};

/// A fingerprint of a walked stack. Several keys may stand for one stack; a key never stands for
/// two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WalkKey(pub(crate) u64);

/// Why a stack has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Why {
    /// A kind of frame that has not passed the self-test.
    Untested,
    /// An interpreted method without a jmethodID: GetStackTrace creates it.
    NoMethodId,
    /// The JVM replaced a class's list of method ids while it was read.
    ReplacedMethodIds,
    /// A frame of the JVM whose size is not fixed.
    Stub,
    /// The rest of a virtual thread's stack is in the heap, and is not read there.
    Frozen,
    /// A kind of frozen frame that has not passed the self-test.
    UntestedFrozen,
    /// A GC pause while frozen frames were read.
    Pause,
    /// A continuation that is not that of a virtual thread, or one inside another.
    Continuation,
    /// Code outside the code cache.
    OtherCode,
    /// The thread has no Java frame, which cannot be in a hook.
    NoFrame,
    /// An address that should be one of the thread's stack is not.
    Stack,
    /// A return address is not one of code.
    Code,
    /// A frame's size is impossible.
    FrameSize,
    /// An interpreted frame does not look like one.
    Interpreted,
    /// A call from native code does not look like one.
    Entry,
    /// The return address of a deoptimised frame is not one of its code.
    Original,
    /// A continuation's entry does not look like one.
    ContinuationEntry,
    /// Nothing is mapped at an address.
    Unmapped,
    /// A stack chunk or a frozen frame does not look like one.
    FrozenFrame,
}

impl Why {
    /// All of them.
    pub(crate) const ALL: [Why; 19] = [
        Why::Untested,
        Why::NoMethodId,
        Why::ReplacedMethodIds,
        Why::Stub,
        Why::Frozen,
        Why::UntestedFrozen,
        Why::Pause,
        Why::Continuation,
        Why::OtherCode,
        Why::NoFrame,
        Why::Stack,
        Why::Code,
        Why::FrameSize,
        Why::Interpreted,
        Why::Entry,
        Why::Original,
        Why::ContinuationEntry,
        Why::Unmapped,
        Why::FrozenFrame,
    ];

    /// For `health`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Why::Untested => "not tested yet",
            Why::NoMethodId => "new method",
            Why::ReplacedMethodIds => "replaced method ids",
            Why::Stub => "frame of the JVM",
            Why::Frozen => "frozen frames",
            Why::UntestedFrozen => "frozen frames not tested yet",
            Why::Pause => "GC pause",
            Why::Continuation => "bare or nested continuation",
            Why::OtherCode => "code outside the code cache",
            Why::NoFrame => "no Java frame",
            Why::Stack => "an address outside the stack",
            Why::Code => "a return address that is none",
            Why::FrameSize => "a frame of an impossible size",
            Why::Interpreted => "an impossible interpreted frame",
            Why::Entry => "an impossible entry frame",
            Why::Original => "an impossible deoptimised frame",
            Why::ContinuationEntry => "an impossible continuation",
            Why::Unmapped => "an address that is not mapped",
            Why::FrozenFrame => "an impossible frozen frame",
        }
    }

    /// Whether it cannot be if all frames are as they should be.
    pub(crate) fn is_impossible(self) -> bool {
        match self {
            Why::Untested
            | Why::NoMethodId
            | Why::ReplacedMethodIds
            | Why::Stub
            | Why::Frozen
            | Why::UntestedFrozen
            | Why::Pause
            | Why::Continuation
            | Why::OtherCode => false,
            Why::NoFrame
            | Why::Stack
            | Why::Code
            | Why::FrameSize
            | Why::Interpreted
            | Why::Entry
            | Why::Original
            | Why::ContinuationEntry
            | Why::Unmapped
            | Why::FrozenFrame => true,
        }
    }
}

/// A set of kinds of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(pub(crate) u16);

impl Kinds {
    pub(crate) const INTERPRETED: Kinds = Kinds(1);
    pub(crate) const COMPILED: Kinds = Kinds(2);
    /// A call from native code.
    pub(crate) const ENTRY: Kinds = Kinds(4);
    /// A frame of the JVM's own code, of a fixed size.
    pub(crate) const STUB: Kinds = Kinds(8);
    /// A compiled frame that will continue in the interpreter.
    pub(crate) const DEOPTIMISED: Kinds = Kinds(16);
    /// The bottom of a virtual thread.
    pub(crate) const BOTTOM: Kinds = Kinds(32);
    /// The hook's own frame, of which neither method nor position is read. It must not make others
    /// trusted, of which they are.
    pub(crate) const INTERPRETED_HOOK: Kinds = Kinds(64);
    pub(crate) const COMPILED_HOOK: Kinds = Kinds(128);
    /// Frozen frames have another form, so each of their kinds has to prove itself.
    pub(crate) const FROZEN_INTERPRETED: Kinds = Kinds(256);
    pub(crate) const FROZEN_COMPILED: Kinds = Kinds(512);
    pub(crate) const FROZEN_DEOPTIMISED: Kinds = Kinds(1_024);
    /// All kinds of frozen frames.
    pub(crate) const FROZEN: Kinds = Kinds(256 | 512 | 1_024);
    pub(crate) const ALL: Kinds = Kinds(u16::MAX);

    /// Whether one of these kinds is among them.
    #[inline(always)]
    pub(crate) fn has(self, kind: Kinds) -> bool {
        self.0 & kind.0 != 0
    }

    #[inline(always)]
    pub(super) fn add(&mut self, kind: Kinds) {
        self.0 |= kind.0;
    }
}

/// The Java frames that one physical frame has, as far as it is known without its code's debug
/// information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Physical {
    /// The jmethodID of the outermost of its Java frames; the others were inlined into it.
    Compiled(usize),
    /// The jmethodID and the position.
    Interpreted(usize, i64),
}

/// Sees the frames that a walk passes, from the hook's caller outwards.
pub(crate) trait Visitor {
    /// Whether it wants to see them.
    const SEES: bool;
    fn frame(&mut self, frame: Physical);
}

/// Sees nothing.
pub(crate) struct Blind;

impl Visitor for Blind {
    const SEES: bool = false;
    fn frame(&mut self, _: Physical) {}
}

/// What a key is of, beside the frames.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// All else that the key has to distinguish.
    pub(crate) salt: u64,
    /// The walk ends after this many physical frames without the hook's own, which have at least
    /// as many Java frames.
    pub(crate) frames: usize,
    /// Kinds that may be walked.
    pub(crate) trusted: Kinds,
}

/// A walked stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) key: WalkKey,
    /// Kinds of its frames.
    pub(crate) kinds: Kinds,
    /// Whether the walk came to the outermost frame.
    pub(crate) complete: bool,
}

/// A walk under way.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    pub(super) hash: u64,
    /// Physical frames without the hook's own.
    pub(super) frames: usize,
    pub(super) kinds: Kinds,
}

impl Progress {
    #[inline(always)]
    pub(super) fn compiled(&mut self, layout: &Layout, position: usize, id: u32) {
        let offset = position.wrapping_sub(layout.code_low) as u64;
        self.hash = mix(self.hash, offset << 32 | u64::from(id), COMPILED_FRAME);
        self.frames += 1;
    }

    #[inline(always)]
    pub(super) fn interpreted(&mut self, id: usize, offset: usize) {
        let word = (id as u64).wrapping_add((offset as u64) << 47);
        self.hash = mix(self.hash, word, INTERPRETED_FRAME);
        self.frames += 1;
    }

    /// The walk came to the outermost frame.
    #[inline(always)]
    pub(super) fn end(self) -> Walked {
        let key = WalkKey(mix(self.hash, END | self.frames as u64, MARK));
        Walked { key, kinds: self.kinds, complete: true }
    }

    /// The walk has as many frames as it wants.
    #[inline(always)]
    pub(super) fn cut(self) -> Walked {
        let key = WalkKey(mix(self.hash, CUT, MARK));
        Walked { key, kinds: self.kinds, complete: false }
    }
}

const COMPILED_FRAME: u64 = 0xa076_1d64_78bd_642f;
const INTERPRETED_FRAME: u64 = 0xe703_7ed1_a0b4_28db;
const MARK: u64 = 0x8ebc_6af0_9c88_c6e3;

/// Mixes one more word into a hash. `factor` is odd, and another one for each kind of word.
#[inline(always)]
fn mix(hash: u64, word: u64, factor: u64) -> u64 {
    let product = u128::from(hash ^ word) * u128::from(factor);
    (product >> 64) as u64 ^ product as u64
}

/// The salt of an audit, a version, a depth of less than 2^13 and one of eight tables.
#[inline(always)]
pub(crate) fn salt([audit, version, depth, table]: [u64; 4]) -> u64 {
    mix(mix(0x5bd1_e995_9747_b28c, audit << 16 ^ depth << 3 ^ table, MARK), version, MARK)
}

/// Words of a marker: a call from native code, and the two ways in which a walk ends.
const AT_ENTRY: u64 = 3;
const CUT: u64 = 7;
const END: u64 = 1 << 32;

/// The largest frame, in bytes.
pub(super) const MAX_FRAME: usize = 1 << 20;

/// The largest method, in bytes.
pub(super) const MAX_CODE: usize = 1 << 16;

/// Walks the stack of the current thread, which is in a native method.
#[inline(always)]
pub(crate) fn walk<R: Reader, V: Visitor>(
    layout: &Layout,
    jni: Jni,
    frozen: Option<&Frozen>,
    request: Request,
    reader: &mut R,
    visitor: &mut V,
) -> Result<Walked, Why> {
    let thread = (jni.raw() as usize).wrapping_sub(layout.env);
    let local = 0_usize;
    let here = (&raw const local).expose_provenance();
    let base = of_thread(reader, thread, layout.stack_base)?;
    let size = of_thread(reader, thread, layout.stack_size)?;
    if here >= base || base - here > size {
        return Err(Why::Stack);
    }
    let stack = OwnStack { low: here, base };
    let mut sp = of_thread(reader, thread, layout.anchor.sp)?;
    let mut pc = of_thread(reader, thread, layout.anchor.pc)?;
    let mut fp = of_thread(reader, thread, layout.anchor.fp)?;
    if sp == 0 {
        return Err(Why::NoFrame);
    }
    stack.check(sp)?;
    if pc == 0 {
        pc = stack.word(reader, sp - 8)?;
    }
    let mut progress = Progress { hash: request.salt, frames: 0, kinds: Kinds::default() };
    // The first frame is the hook's own.
    let mut is_hook = true;
    let mut steps = 4 * request.frames + 64;
    let (interpreter, interpreter_size) = layout.interpreter;
    loop {
        steps = steps.checked_sub(1).ok_or(Why::Stack)?;
        if pc.wrapping_sub(interpreter) < interpreter_size {
            let kind = if is_hook { Kinds::INTERPRETED_HOOK } else { Kinds::INTERPRETED };
            progress.kinds.add(kind);
            if !request.trusted.has(kind) {
                return Err(Why::Untested);
            }
            if fp < sp || fp - sp > MAX_FRAME {
                return Err(Why::Interpreted);
            }
            let caller_sp = stack.word(reader, fp - 8)?;
            if caller_sp <= fp || caller_sp > base || caller_sp & 7 != 0 {
                return Err(Why::Interpreted);
            }
            if !is_hook {
                let method = stack.word(reader, fp.wrapping_add_signed(layout.method_slot))?;
                let position = stack.word(reader, fp.wrapping_add_signed(layout.position_slot))?;
                let (id, constant) = method_id(layout, reader, method)?;
                // A native method has 0. While a full GC runs, JDK 8 has an index there.
                let offset = match position {
                    0..MAX_CODE => position + layout.const_method_size,
                    _ => position.wrapping_sub(constant),
                };
                let index = offset.wrapping_sub(layout.const_method_size);
                if index > MAX_CODE {
                    return Err(Why::Interpreted);
                }
                if V::SEES {
                    visitor.frame(Physical::Interpreted(id, index as i64));
                }
                progress.interpreted(id, offset);
                if progress.frames >= request.frames {
                    return Ok(progress.cut());
                }
            }
            is_hook = false;
            pc = stack.word(reader, fp + 8)?;
            fp = stack.word(reader, fp)?;
            sp = caller_sp;
            continue;
        }
        if pc == layout.call_stub_return {
            progress.kinds.add(Kinds::ENTRY);
            if !request.trusted.has(Kinds::ENTRY) {
                return Err(Why::Untested);
            }
            if fp < sp || fp - sp > 4_096 {
                return Err(Why::Entry);
            }
            let wrapper = stack.word(reader, fp.wrapping_add_signed(layout.wrapper_slot))?;
            if wrapper <= fp || wrapper & 7 != 0 {
                return Err(Why::Entry);
            }
            let caller_sp = stack.word(reader, wrapper + layout.wrapper.sp)?;
            if caller_sp == 0 {
                return Ok(progress.end());
            }
            if caller_sp <= wrapper {
                return Err(Why::Entry);
            }
            pc = stack.word(reader, wrapper + layout.wrapper.pc)?;
            fp = stack.word(reader, wrapper + layout.wrapper.fp)?;
            sp = caller_sp;
            if pc == 0 {
                pc = stack.word(reader, sp - 8)?;
            }
            progress.hash = mix(progress.hash, AT_ENTRY, MARK);
            continue;
        }
        let kind = if is_hook { Kinds::COMPILED_HOOK } else { Kinds::COMPILED };
        if !V::SEES
            && request.trusted.has(kind)
            && let Some(known) = RETURNS.get(layout, reader, pc)
        {
            progress.kinds.add(kind);
            if !is_hook {
                progress.compiled(layout, pc, known.id);
                if progress.frames >= request.frames {
                    return Ok(progress.cut());
                }
            }
            is_hook = false;
            sp += known.size;
            pc = stack.word(reader, sp - 8)?;
            fp = stack.word(reader, sp - 16)?;
            continue;
        }
        let blob = Blob::of(layout, reader, pc)?;
        let name = blob.word(reader, layout.blob_name)?;
        let code = classify(name)?;
        let size = blob.number(reader, layout.frame_size)? as usize * 8;
        #[cfg(feature = "fault-injection")]
        let size = size.wrapping_add(layout.extra_frame_bytes);
        if !(16..=MAX_FRAME).contains(&size) && code.has_frames_of_a_size() {
            return Err(Why::FrameSize);
        }
        match code {
            Code::Unwalkable => {
                return Err(Why::Stub);
            }
            Code::Continuation => {
                // The other stubs there belong to a thaw or to an exception that passes.
                if let Some(field) = layout.return_barrier {
                    // SAFETY: a static field of the JVM's library.
                    if unsafe { reader.read(field) } != Some(pc) {
                        return Err(Why::Stub);
                    }
                }
                let frozen = frozen.ok_or(Why::Frozen)?;
                let barrier = Barrier { stack: &stack, thread, sp };
                return frozen.walk(layout, jni, request, (barrier, progress), reader, visitor);
            }
            Code::Stub => {
                progress.kinds.add(Kinds::STUB);
                if !request.trusted.has(Kinds::STUB) {
                    return Err(Why::Untested);
                }
            }
            Code::Compiled | Code::Native => {
                progress.kinds.add(kind);
                if !request.trusted.has(kind) {
                    return Err(Why::Untested);
                }
                if blob.at + layout.nmethod_end > blob.high {
                    return Err(Why::Code);
                }
                if code == Code::Native && is_bottom(layout, reader, &blob)? {
                    progress.kinds.add(Kinds::BOTTOM);
                    if !request.trusted.has(Kinds::BOTTOM) {
                        return Err(Why::Untested);
                    }
                    check_entry(layout, reader, &stack, sp)?;
                    return Ok(progress.end());
                }
                let id = blob.number(reader, layout.compile_id)?;
                let mut position = pc;
                if !is_deoptimised(layout, reader, &blob, pc)? {
                    RETURNS.enter(layout, reader, pc, &blob, Return { name, size, id });
                } else {
                    progress.kinds.add(Kinds::DEOPTIMISED);
                    if !request.trusted.has(Kinds::DEOPTIMISED) {
                        return Err(Why::Untested);
                    }
                    let slot = blob.number(reader, layout.original_pc)? as usize;
                    if slot >= size || slot & 7 != 0 {
                        return Err(Why::Original);
                    }
                    position = stack.word(reader, sp + slot)?;
                    let length = blob.number(reader, layout.blob_size)? as usize;
                    if position.wrapping_sub(blob.at) >= length {
                        return Err(Why::Original);
                    }
                }
                if !is_hook {
                    if V::SEES {
                        let method = blob.word(reader, layout.compiled_method)?;
                        visitor.frame(Physical::Compiled(method_id(layout, reader, method)?.0));
                    }
                    progress.compiled(layout, position, id);
                    if progress.frames >= request.frames {
                        return Ok(progress.cut());
                    }
                }
                is_hook = false;
            }
        }
        let caller_sp = sp + size;
        pc = stack.word(reader, caller_sp - 8)?;
        fp = stack.word(reader, caller_sp - 16)?;
        sp = caller_sp;
    }
}

#[inline(always)]
fn of_thread<R: Reader>(reader: &mut R, thread: usize, offset: usize) -> Result<usize, Why> {
    // SAFETY: the JNI environment of the current thread is a part of its JavaThread, and so is this
    // field; the JavaThread lives as long as the thread runs.
    unsafe { reader.read(thread + offset) }.ok_or(Why::Unmapped)
}

/// The number of the thread that the current JavaThread runs.
#[inline]
pub(super) fn running_thread(layout: &Layout, jni: Jni) -> Option<u64> {
    let thread = (jni.raw() as usize).wrapping_sub(layout.env);
    of_thread(&mut Direct, thread, layout.running?).ok().map(|number| number as u64)
}

/// The stack of the current thread, from a frame of the walk outwards.
pub(super) struct OwnStack {
    /// The address of a local variable of the walk.
    low: usize,
    /// The end of the stack.
    base: usize,
}

impl OwnStack {
    #[inline(always)]
    fn check(&self, at: usize) -> Result<(), Why> {
        if at & 7 == 0 && at > self.low && at < self.base { Ok(()) } else { Err(Why::Stack) }
    }

    #[inline(always)]
    pub(super) fn word<R: Reader>(&self, reader: &mut R, at: usize) -> Result<usize, Why> {
        self.check(at)?;
        // SAFETY: the address is aligned and lies between a local variable of the walk and the end
        // of this thread's stack, all of which is mapped while the walk runs.
        unsafe { reader.read(at) }.ok_or(Why::Unmapped)
    }
}

/// Whether this is the code at the bottom of a continuation.
#[inline(always)]
fn is_bottom<R: Reader>(layout: &Layout, reader: &mut R, blob: &Blob) -> Result<bool, Why> {
    match layout.bottom {
        Bottom::None => Ok(false),
        Bottom::Method(method) => Ok(blob.word(reader, layout.compiled_method)? == method),
        Bottom::ReturnPc(field) => {
            // SAFETY: a static field of the JVM's library.
            let inside: usize = unsafe { reader.read(field) }.ok_or(Why::Unmapped)?;
            // Two return addresses are in this code, so that the code is compared. It is set when
            // the first continuation runs.
            Ok(inside != 0 && Blob::of(layout, reader, inside)?.at == blob.at)
        }
    }
}

/// Checks that a virtual thread ends at this entry of a continuation. If not, GetStackTrace goes on
/// to the frames around it.
#[inline(always)]
pub(super) fn check_entry<R: Reader>(
    layout: &Layout,
    reader: &mut R,
    stack: &OwnStack,
    entry: usize,
) -> Result<(), Why> {
    let parent = stack.word(reader, entry + layout.entry_parent)?;
    // A number of 4 bytes; the offset is a multiple of 8.
    let flags = stack.word(reader, entry + layout.entry_flags)? as u32;
    match (parent, flags) {
        (0, 1) => Ok(()),
        (0, 0) => Err(Why::Continuation),
        (parent, 0 | 1) if parent > entry && parent < stack.base => Err(Why::Continuation),
        _ => Err(Why::ContinuationEntry),
    }
}

/// The jmethodID of a Method on the stack, and its ConstMethod.
#[inline(always)]
pub(super) fn method_id<R: Reader>(
    layout: &Layout,
    reader: &mut R,
    method: usize,
) -> Result<(usize, usize), Why> {
    if !(0x1000..1 << 47).contains(&method) || method & 7 != 0 {
        return Err(Why::Interpreted);
    }
    let mut word = |at: usize| {
        // SAFETY: the Method of a frame, which the frame keeps alive with its ConstMethod, their
        // constant pool and its class.
        unsafe { reader.read::<usize>(at) }.ok_or(Why::Unmapped)
    };
    let constant = word(method + layout.const_method)?;
    let pool = word(constant + layout.constants)?;
    let owner = word(pool + layout.pool_holder)? + layout.method_ids;
    let list = word(owner)?;
    if list == 0 {
        return Err(Why::NoMethodId);
    }
    let length = of_method_ids(reader, (owner, list), 0)?;
    // SAFETY: as above.
    let number: u16 =
        unsafe { reader.read(constant + layout.method_number) }.ok_or(Why::Unmapped)?;
    if usize::from(number) >= length {
        return Err(Why::NoMethodId);
    }
    let id = of_method_ids(reader, (owner, list), usize::from(number) + 1)?;
    if id == 0 { Err(Why::NoMethodId) } else { Ok((id, constant)) }
}

/// The word at an index of a class's list of method ids. `owner` is where the class has its
/// address, `list`.
///
/// After a redefinition the JVM gives the class another list and frees this one: up to JDK 22 when
/// it makes an id, since JDK 23 (JDK-8313332) in the redefinition itself. So the word counts only
/// if the class still has this list afterwards.
#[inline(always)]
fn of_method_ids<R: Reader>(
    reader: &mut R,
    (owner, list): (usize, usize),
    index: usize,
) -> Result<usize, Why> {
    #[cfg(feature = "fault-injection")]
    crate::sys::fault_injection::sleep_between_reads("method-ids");
    // SAFETY: a word inside of a list that was the class's when its address was last read, some
    // instructions ago. If it has been freed since, the allocator has the memory, and still has it
    // mapped unless it has given it back to the kernel in that time.
    let word = unsafe { reader.read(list + 8 * index) };
    // SAFETY: the class of a method on the stack.
    if unsafe { reader.read_again(owner) } != Some(list) {
        return Err(Why::ReplacedMethodIds);
    }
    word.ok_or(Why::Unmapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn keys_differ_in_every_word_in_its_kind_and_in_the_order() {
        let mut seen = HashSet::new();
        for table in 0..8 {
            for version in 0..3 {
                for depth in [1, 2, 1_024] {
                    for audit in 0..3 {
                        assert!(seen.insert(salt([audit, version, depth, table])));
                    }
                }
            }
        }
        let salt = salt([0; 4]);
        for one in 0..200 {
            for other in 0..200 {
                for factor in [COMPILED_FRAME, INTERPRETED_FRAME] {
                    let hash = mix(mix(salt, one << 32 | 7, factor), other << 32 | 7, factor);
                    assert!(seen.insert(hash), "{one} {other}");
                    assert!(seen.insert(mix(hash, AT_ENTRY, MARK)));
                    assert!(seen.insert(mix(hash, CUT, MARK)));
                    assert!(seen.insert(mix(hash, END | 2, MARK)));
                }
            }
        }
    }

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let names: HashSet<_> = Why::ALL.iter().map(|why| why.name()).collect();
        assert_eq!(names.len(), Why::ALL.len());
        for (at, why) in Why::ALL.iter().enumerate() {
            assert_eq!(*why as usize, at);
        }
    }
}
