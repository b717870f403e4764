//! The agent's allocator: the C library's, and a reserve for the time when that has no memory left.
//!
//! Rust ends the process where an allocation fails. All that grows with the program's work is therefore
//! allocated with `try_reserve`, and the agent does without it where that fails. What is left is small, and
//! comes from the reserve then. While the reserve is in use the agent does less ([`is_pressed`],
//! [`is_exhausted`]); once the C library has memory again it is not used any more. Invariant: the reserve is
//! address space only until it is needed, and every allocation is tried at the C library first.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes of the reserve: some thousand stacks and the largest table that is not allocated with `try_reserve`.
const SIZE: usize = 16 << 20;

/// The largest block that comes from it: what is larger can be done without.
const LARGEST: usize = 512 << 10;

/// Beyond this use nothing is begun that may need much, as a new stack or a report.
const PRESSED: usize = SIZE / 8;

/// Beyond this use hooks do nothing but count.
const EXHAUSTED: usize = SIZE / 2;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Where the reserve begins; 0 before there is one.
static START: AtomicUsize = AtomicUsize::new(0);

/// How many blocks are in use (the upper half), and where the free space begins (the lower half).
static STATE: AtomicU64 = AtomicU64::new(0);

struct Allocator;

/// Sets the reserve up, once. Without it the agent works as long as the C library has memory.
pub(super) fn set_up() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping, at an address of the system's choice.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if start != libc::MAP_FAILED {
            START.store(start as usize, Ordering::Release);
        }
    });
}

/// Whether memory is so short that nothing should begin that may need much of it.
#[inline]
pub(super) fn is_pressed() -> bool {
    used(STATE.load(Ordering::Relaxed)) > PRESSED
}

/// Whether memory is so short that hooks should do nothing but count.
#[inline]
pub(super) fn is_exhausted() -> bool {
    used(STATE.load(Ordering::Relaxed)) > EXHAUSTED
}

fn used(state: u64) -> usize {
    (state & u64::from(u32::MAX)) as usize
}

fn blocks(state: u64) -> u64 {
    state >> 32
}

fn state(blocks: u64, used: usize) -> u64 {
    blocks << 32 | used as u64
}

/// A block from the reserve; null where it has no room.
#[cold]
fn take(layout: Layout) -> *mut u8 {
    let start = START.load(Ordering::Acquire);
    if start == 0 || layout.size() > LARGEST {
        return ptr::null_mut();
    }
    let mut seen = STATE.load(Ordering::Acquire);
    loop {
        let begin = (start + used(seen)).next_multiple_of(layout.align()) - start;
        // A block of no bytes would have the address of the next one.
        let end = begin + layout.size().max(1);
        if end > SIZE {
            return ptr::null_mut();
        }
        let next = state(blocks(seen) + 1, end);
        match STATE.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return ptr::with_exposed_provenance_mut(start + begin),
            Err(other) => seen = other,
        }
    }
}

/// Gives a block of the reserve back. Its space is free again if it was the last one, or the only one.
#[cold]
fn give_back(block: *mut u8, layout: Layout) {
    let begin = block as usize - START.load(Ordering::Acquire);
    let mut seen = STATE.load(Ordering::Acquire);
    loop {
        let left = blocks(seen).saturating_sub(1);
        let end = match left {
            0 => 0,
            _ if begin + layout.size().max(1) == used(seen) => begin,
            _ => used(seen),
        };
        match STATE.compare_exchange_weak(seen, state(left, end), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(other) => seen = other,
        }
    }
}

#[inline]
fn is_of_reserve(block: *mut u8) -> bool {
    let start = START.load(Ordering::Relaxed);
    start != 0 && (block as usize).wrapping_sub(start) < SIZE
}

/// Whether the C library may be tried.
#[inline]
fn system_has_memory() -> bool {
    #[cfg(feature = "fault-injection")]
    return !super::fault::memory_is_out();
    #[cfg(not(feature = "fault-injection"))]
    true
}

// SAFETY: blocks come from the C library's allocator or from disjoint ranges of the reserve, aligned and as
// large as the layout says, and go back to where their address says that they came from. Nothing unwinds.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is passed on.
        let block = if system_has_memory() { unsafe { System.alloc(layout) } } else { ptr::null_mut() };
        if block.is_null() { take(layout) } else { block }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = if system_has_memory() {
            // SAFETY: the caller's layout is passed on.
            unsafe { System.alloc_zeroed(layout) }
        } else {
            ptr::null_mut()
        };
        if !block.is_null() {
            return block;
        }
        let block = take(layout);
        if !block.is_null() {
            // SAFETY: the block was just taken and has this size; an earlier user may have written to it.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_of_reserve(block) {
            give_back(block, layout);
        } else {
            // SAFETY: it came from the C library with this layout.
            unsafe { System.dealloc(block, layout) };
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let ours = is_of_reserve(block);
        if !ours && system_has_memory() {
            // SAFETY: the caller's arguments are passed on.
            let grown = unsafe { System.realloc(block, layout, size) };
            if !grown.is_null() {
                return grown;
            }
        }
        // SAFETY: the caller vouches that the size, rounded up to the alignment, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the size is not zero (the caller vouches for it).
        let moved = if ours { unsafe { self.alloc(wanted) } } else { take(wanted) };
        if !moved.is_null() {
            // SAFETY: two different blocks, both at least as large as the smaller size.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
            // SAFETY: the old block is valid with its layout, and is not used any more.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In one test, because the reserve is one: blocks are apart, aligned, reused when all are back or when the
    /// last one is, zeroed where that is wanted, and never larger than may be.
    #[test]
    fn blocks_of_the_reserve() {
        set_up();
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        assert!(take(layout(LARGEST + 1, 8)).is_null());
        let small = layout(100, 64);
        let all: Vec<*mut u8> = (0..50).map(|_| take(small)).collect();
        for (number, block) in all.iter().enumerate() {
            assert!(is_of_reserve(*block) && (*block as usize).is_multiple_of(64));
            // SAFETY: a block of 100 bytes that is ours.
            unsafe { block.write_bytes(number as u8, 100) };
        }
        for (number, block) in all.iter().enumerate() {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(*block, 100) };
            assert!(bytes.iter().all(|byte| *byte == number as u8), "blocks overlap");
        }
        let before = used(STATE.load(Ordering::Relaxed));
        give_back(all[49], small);
        assert!(used(STATE.load(Ordering::Relaxed)) < before, "the last one's space is free again");
        // A block that grows moves out of the reserve as soon as the C library has memory.
        // SAFETY: the block is of the reserve and has this layout.
        let moved = unsafe { ALLOCATOR.realloc(all[0], small, 200) };
        assert!(!is_of_reserve(moved));
        // SAFETY: as above.
        assert!(unsafe { std::slice::from_raw_parts(moved, 100) }.iter().all(|byte| *byte == 0));
        // SAFETY: it came from `realloc` with this layout.
        unsafe { ALLOCATOR.dealloc(moved, layout(200, 64)) };
        all.iter().skip(1).take(48).for_each(|block| give_back(*block, small));
        assert_eq!(STATE.load(Ordering::Relaxed), 0);
        let mut large = Vec::new();
        while !is_exhausted() {
            large.push(take(layout(LARGEST, 8)));
        }
        assert!(is_pressed() && large.iter().all(|block| !block.is_null()));
        large.into_iter().for_each(|block| give_back(block, layout(LARGEST, 8)));
        assert!(!is_pressed());
    }

    #[test]
    fn threads_get_blocks_of_their_own() {
        set_up();
        let layout = Layout::from_size_align(48, 16).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8_u8 {
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        let block = take(layout);
                        if block.is_null() {
                            continue;
                        }
                        // SAFETY: 48 bytes that nobody else has.
                        unsafe { block.write_bytes(number, 48) };
                        // SAFETY: as above.
                        let bytes = unsafe { std::slice::from_raw_parts(block, 48) };
                        assert!(bytes.iter().all(|byte| *byte == number));
                        give_back(block, layout);
                    }
                });
            }
        });
    }
}
