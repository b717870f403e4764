//! Code that return addresses of the stack belong to: where it begins, what kind it is, how large
//! its frames are.
//!
//! HotSpot's tables lead from an address to its code ([`Blob`]). [`Returns`] remembers what was
//! found, because the way there is one of several dependent reads. Invariant: what it says of an
//! address is what the tables would say now.

use super::layout::{CodeHeap, DeoptHandlers, Layout};
use super::walk::Why;
use crate::sys::memory::{Checked, Reader};
use crate::sys::sync;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Code in the code cache that contains a return address of the stack.
pub(super) struct Blob {
    pub(super) at: usize,
    /// The end of the memory in use of its heap.
    pub(super) high: usize,
}

impl Blob {
    #[inline(always)]
    pub(super) fn of<R: Reader>(layout: &Layout, reader: &mut R, pc: usize) -> Result<Blob, Why> {
        for heap in &layout.heaps {
            if pc < heap.low {
                continue;
            }
            // SAFETY: a field of a code heap, which is never freed.
            let high: usize = unsafe { reader.read(heap.high_at) }.ok_or(Why::Unmapped)?;
            if pc < high {
                return Blob::in_heap(layout, reader, heap, high, pc);
            }
        }
        Err(if layout.other_code { Why::OtherCode } else { Why::Code })
    }

    #[inline(always)]
    fn in_heap<R: Reader>(
        layout: &Layout,
        reader: &mut R,
        heap: &CodeHeap,
        high: usize,
        pc: usize,
    ) -> Result<Blob, Why> {
        /// The mark of a segment without a block.
        const FREE: usize = 0xff;
        // SAFETY: a field of a code heap, which is never freed.
        let map_high: usize = unsafe { reader.read(heap.map_high_at) }.ok_or(Why::Unmapped)?;
        let mut segment = (pc - heap.low) >> heap.shift;
        loop {
            let at = heap.map + segment;
            if at >= map_high {
                return Err(Why::Code);
            }
            // SAFETY: the address is in the part of the map that is in use; it is never unmapped.
            let back: u8 = unsafe { reader.read(at) }.ok_or(Why::Unmapped)?;
            match usize::from(back) {
                0 => break,
                FREE => return Err(Why::Code),
                back => segment = segment.checked_sub(back).ok_or(Why::Code)?,
            }
        }
        let block = heap.low + (segment << heap.shift);
        let blob = Blob { at: block + layout.block_header, high };
        if blob.at + layout.blob_end > high || pc < blob.at {
            return Err(Why::Code);
        }
        // SAFETY: the block begins in the part of the heap that is in use, and so does its header.
        let used: u8 = unsafe { reader.read(block + layout.block_used) }.ok_or(Why::Unmapped)?;
        if used == 0 { Err(Why::Code) } else { Ok(blob) }
    }

    /// The caller checks that the field lies below `high`.
    #[inline(always)]
    pub(super) fn word<R: Reader>(&self, reader: &mut R, offset: usize) -> Result<usize, Why> {
        // SAFETY: the field lies in the part of a heap that is in use; it is never unmapped.
        unsafe { reader.read(self.at + offset) }.ok_or(Why::Unmapped)
    }

    /// The same.
    #[inline(always)]
    pub(super) fn number<R: Reader>(&self, reader: &mut R, offset: usize) -> Result<u32, Why> {
        // SAFETY: as above.
        unsafe { reader.read(self.at + offset) }.ok_or(Why::Unmapped)
    }
}

/// Whether a frame was deoptimised: the return address to it was replaced.
#[inline(always)]
pub(super) fn is_deoptimised<R: Reader>(
    layout: &Layout,
    reader: &mut R,
    blob: &Blob,
    pc: usize,
) -> Result<bool, Why> {
    match layout.deopt {
        DeoptHandlers::Addresses(one, other) => {
            Ok(pc == blob.word(reader, one)? || pc == blob.word(reader, other)?)
        }
        DeoptHandlers::Offsets(one, other) => {
            if pc == blob.at + blob.number(reader, one)? as usize {
                return Ok(true);
            }
            match other {
                Some(other) => Ok(pc == blob.at + blob.number(reader, other)? as usize),
                None => Ok(false),
            }
        }
    }
}

/// What code is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Its frames have no fixed size, or are followed by an anchor of their own.
    Unwalkable = 0,
    /// A Java method.
    Compiled = 1,
    /// The wrapper of a native method.
    Native = 2,
    /// Code of the JVM with frames of a fixed size.
    Stub = 3,
    /// The generated stubs of continuations, among them the return barrier.
    Continuation = 4,
}

impl Code {
    pub(super) fn has_frames_of_a_size(self) -> bool {
        !matches!(self, Code::Unwalkable | Code::Continuation)
    }
}

/// The addresses of names that were read, with the code's kind in the three highest bits. Names are
/// constants in the JVM's library, or are never freed. 0 is a free slot.
static NAMES: [AtomicUsize; 128] = [const { AtomicUsize::new(0) }; 128];

/// Where the kind begins in a word of `NAMES`.
const KIND_SHIFT: u32 = 61;

/// The address of the most frequent name.
static COMPILED: AtomicUsize = AtomicUsize::new(1);

#[inline(always)]
pub(super) fn classify(name: usize) -> Result<Code, Why> {
    if name == COMPILED.load(Ordering::Relaxed) { Ok(Code::Compiled) } else { known(name) }
}

#[inline(never)]
fn known(name: usize) -> Result<Code, Why> {
    const ADDRESS: usize = (1 << KIND_SHIFT) - 1;
    for slot in &NAMES {
        let known = slot.load(Ordering::Relaxed);
        if known == 0 {
            break;
        }
        if known & ADDRESS == name {
            return Ok(match known >> KIND_SHIFT {
                1 => Code::Compiled,
                2 => Code::Native,
                3 => Code::Stub,
                4 => Code::Continuation,
                _ => Code::Unwalkable,
            });
        }
    }
    if name == 0 || name > ADDRESS {
        return Err(Why::Code);
    }
    let code = match read_name(name) {
        Some(text) => kind_of(&text),
        None => return Err(Why::Unmapped),
    };
    if code == Code::Compiled {
        COMPILED.store(name, Ordering::Relaxed);
    }
    let known = name | (code as usize) << KIND_SHIFT;
    let free = |slot: &&AtomicUsize| {
        slot.compare_exchange(0, known, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    };
    if NAMES.iter().find(free).is_none() {
        return Err(Why::Stub);
    }
    Ok(code)
}

/// The first bytes of a name, padded with zeros.
fn read_name(at: usize) -> Option<[u8; 32]> {
    let mut memory = Checked::new();
    let mut text = [0; 32];
    for (offset, byte) in text.iter_mut().enumerate() {
        *byte = memory.get(at + offset)?;
        if *byte == 0 {
            break;
        }
    }
    Some(text)
}

fn kind_of(name: &[u8]) -> Code {
    /// Frames of these have no fixed size, lead to an anchor, or are about to be replaced.
    const UNWALKABLE: [&[u8]; 9] = [
        b"Interpreter",
        b"StubRoutines",
        b"DeoptimizationBlob",
        b"I2C/C2I",
        b"MethodHandles",
        b"Upcall",
        b"upcall",
        b"Cont",
        b"vtable",
    ];
    match () {
        () if name.starts_with(b"nmethod\0") => Code::Compiled,
        () if name.starts_with(b"native nmethod\0") => Code::Native,
        // JDK 21 writes it without the last space.
        () if name.starts_with(b"StubRoutines (continuation") => Code::Continuation,
        () if UNWALKABLE.iter().any(|it| name.starts_with(it)) => Code::Unwalkable,
        () => Code::Stub,
    }
}

/// A return address into a compiled method that was not deoptimised there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Return {
    /// The address of the code's name.
    pub(super) name: usize,
    /// The size of the frame in bytes, less than 2^32.
    pub(super) size: usize,
    /// The number of the compilation.
    pub(super) id: u32,
}

impl Return {
    /// Whether it is in a Java method, and not in the wrapper of a native one.
    #[inline(always)]
    pub(super) fn is_java(&self) -> bool {
        self.name == COMPILED.load(Ordering::Relaxed)
    }
}

/// Return addresses of all threads.
pub(super) static RETURNS: Returns<{ 1 << 12 }> = Returns::new();

/// A cache from return addresses to what is known of them, for readers that remember. It has room
/// for `SIZE` of them, a power of two, each in one place.
pub(super) struct Returns<const SIZE: usize>([KnownReturn; SIZE]);

/// Written without a lock: a reader that finds the words of two entries sees that they do not fit.
#[repr(align(32))]
struct KnownReturn {
    /// The address, from the beginning of the code cache, above the number of the compilation.
    address: sync::AtomicUsize,
    /// The size of the frame above the beginning of the code.
    code: sync::AtomicUsize,
    name: sync::AtomicUsize,
    /// The other three words, mixed.
    check: sync::AtomicUsize,
}

/// The lower half of a word.
const LOW: usize = u32::MAX as usize;

impl<const SIZE: usize> Returns<SIZE> {
    const fn new() -> Self {
        const { assert!(SIZE.is_power_of_two()) };
        Returns([const { KnownReturn::NONE }; SIZE])
    }

    #[inline(always)]
    fn place(&self, offset: usize) -> Option<&KnownReturn> {
        let mixed = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0.get(mixed >> (usize::BITS - SIZE.ilog2()))
    }

    /// What is known of a return address.
    #[inline(always)]
    pub(super) fn get<R: Reader>(
        &self,
        layout: &Layout,
        reader: &mut R,
        pc: usize,
    ) -> Option<Return> {
        if !R::REMEMBERS {
            return None;
        }
        let offset = pc.wrapping_sub(layout.code_low);
        let (at, known) = self.place(offset)?.read(offset)?;
        KnownReturn::is_true(layout, reader, layout.code_low + at, known).then_some(known)
    }

    /// Enters a return address into this code. One that is true stays, so that two do not take the
    /// place from each other again and again.
    #[inline(never)]
    pub(super) fn enter<R: Reader>(
        &self,
        layout: &Layout,
        reader: &mut R,
        pc: usize,
        blob: &Blob,
        known: Return,
    ) {
        let offset = pc.wrapping_sub(layout.code_low);
        let at = blob.at.wrapping_sub(layout.code_low);
        let Some(place) = self.place(offset).filter(|_| R::REMEMBERS && (offset | at) <= LOW)
        else {
            return;
        };
        let is_taken =
            place.read(place.address.load(Ordering::Relaxed) >> 32).is_some_and(|(at, known)| {
                KnownReturn::is_true(layout, reader, layout.code_low + at, known)
            });
        if !is_taken {
            place.write(offset, at, known);
        }
    }
}

impl KnownReturn {
    #[expect(clippy::declare_interior_mutable_const, reason = "the initial value of many entries")]
    const NONE: KnownReturn = KnownReturn {
        address: sync::AtomicUsize::new(0),
        code: sync::AtomicUsize::new(0),
        name: sync::AtomicUsize::new(0),
        check: sync::AtomicUsize::new(1),
    };

    #[inline(always)]
    fn check(address: usize, code: usize, name: usize) -> usize {
        address ^ code.rotate_left(21) ^ name.rotate_left(42)
    }

    /// Where the code begins, and what is known of the address, if it is this one. Addresses of
    /// code count from the beginning of the code cache.
    #[inline(always)]
    fn read(&self, offset: usize) -> Option<(usize, Return)> {
        let [address, code, name, check] = [&self.address, &self.code, &self.name, &self.check]
            .map(|word| word.load(Ordering::Relaxed));
        let is_whole = check == KnownReturn::check(address, code, name);
        (address >> 32 == offset && is_whole)
            .then_some((code & LOW, Return { name, size: code >> 32, id: address as u32 }))
    }

    fn write(&self, offset: usize, at: usize, known: Return) {
        let Return { name, size, id } = known;
        let (address, code) = (offset << 32 | id as usize, size << 32 | at);
        self.address.store(address, Ordering::Relaxed);
        self.code.store(code, Ordering::Relaxed);
        self.name.store(name, Ordering::Relaxed);
        self.check.store(KnownReturn::check(address, code, name), Ordering::Relaxed);
    }

    /// Whether the code is still the same: its block is in use, it has the same name, and its
    /// compilation the same number, which HotSpot gives once. HotSpot marks a block as free before
    /// it gives the memory to other code.
    #[inline(always)]
    fn is_true<R: Reader>(layout: &Layout, reader: &mut R, at: usize, known: Return) -> bool {
        #[cfg(feature = "fault-injection")]
        if crate::sys::fault_injection::stale_code() {
            return true;
        }
        let block = at - layout.block_header;
        // SAFETY: the code was in the part of a heap that was in use; that is never unmapped.
        let (used, name, id) = unsafe {
            (
                reader.read::<u8>(block + layout.block_used),
                reader.read::<usize>(at + layout.blob_name),
                reader.read::<u32>(at + layout.compile_id),
            )
        };
        used.is_some_and(|used| used != 0) && name == Some(known.name) && id == Some(known.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_entry_is_none() {
        let known = Return { name: 0x7f00_1234, size: 96, id: 77 };
        let other = Return { name: 0x7f00_5678, size: 48, id: 78 };
        let entry = KnownReturn::NONE;
        assert_eq!(entry.read(0), None);
        entry.write(0x1000, 0xf00, known);
        assert_eq!(entry.read(0x1000), Some((0xf00, known)));
        assert_eq!(entry.read(0x1001), None);
        let second = KnownReturn::NONE;
        second.write(0x1000, 0xe00, other);
        let words = |it: &KnownReturn| {
            [&it.address, &it.code, &it.name, &it.check].map(|word| word.load(Ordering::Relaxed))
        };
        let (one, two) = (words(&entry), words(&second));
        for mask in 1..15 {
            let of = |at: usize| if mask >> at & 1 == 0 { one[at] } else { two[at] };
            let [address, code, name, check] =
                [of(0), of(1), of(2), of(3)].map(sync::AtomicUsize::new);
            assert_eq!(KnownReturn { address, code, name, check }.read(0x1000), None, "{mask:b}");
        }
    }

    #[test]
    fn code_is_known_by_its_name() {
        for (name, code) in [
            (&b"nmethod\0"[..], Code::Compiled),
            (b"native nmethod\0", Code::Native),
            (b"StubRoutines (1)", Code::Unwalkable),
            (b"StubRoutines (continuationstubs)", Code::Continuation),
            (b"StubRoutines (continuation stubs", Code::Continuation),
            (b"Interpreter", Code::Unwalkable),
            (b"new_instance Runtime1 stub", Code::Stub),
        ] {
            assert_eq!(kind_of(name), code);
        }
    }
}

#[cfg(all(loom, test))]
mod models {
    use super::*;
    use loom::thread::spawn;
    use std::rc::Rc;

    /// Three return addresses in one place, two of which are entered at the same time.
    #[test]
    fn no_reader_finds_what_belongs_to_another_address() {
        const KNOWN: [(usize, usize, Return); 3] = [
            (0x1000, 0xf00, Return { name: 0x7f00_1234, size: 96, id: 77 }),
            (0x1000, 0xe00, Return { name: 0x7f00_1234, size: 48, id: 78 }),
            (0x2000, 0x1e80, Return { name: 0x7f00_5678, size: 96, id: 79 }),
        ];
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(|| {
            let entry = Rc::new(KnownReturn::NONE);
            let write = |entry: &KnownReturn, at: usize| {
                let (offset, begin, known) = KNOWN[at];
                entry.write(offset, begin, known);
            };
            write(&entry, 0);
            for at in 1..3 {
                let entry = Rc::clone(&entry);
                spawn(move || write(&entry, at));
            }
            for offset in [0x1000, 0x2000] {
                let Some((begin, known)) = entry.read(offset) else { continue };
                assert!(KNOWN.contains(&(offset, begin, known)), "{offset:x} {begin:x} {known:?}");
            }
        });
    }
}
