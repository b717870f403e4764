//! The agent's allocator: the C library's, and a reserve for when that has no memory.
//!
//! Rust aborts the process when an allocation fails. Therefore data that grows with the program's
//! work is allocated with `try_reserve`, and the agent does without it if that fails. The remaining
//! allocations are small, and come from the reserve in that case. While much of the reserve is in
//! use and the C library still has no memory, the agent does less ([`is_pressed`],
//! [`is_exhausted`]). Invariant: the reserve is address space only until it is needed, and every
//! allocation tries the C library first.

use super::{malloc, posix};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::spin_loop;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The size of the reserve in bytes: some thousand stacks, and a few of the largest blocks.
const SIZE: usize = 32 << 20;

/// The largest block of the reserve, in bytes. The agent can do without anything larger.
const LARGEST: usize = 2 << 20;

/// Above this many bytes in use, no work starts that may need much memory, such as a new stack or a
/// report.
const PRESSED: usize = SIZE / 8;

/// Above this many bytes in use, hooks only count the events that they cannot record.
const EXHAUSTED: usize = SIZE / 2;

/// The size of a test allocation, in bytes: memory counts as available again if the C library has
/// it.
const PROBE: usize = 1 << 20;

/// How long the result of a test allocation counts, in nanoseconds: hooks ask while much of the
/// reserve is in use.
const PROBE_NANOS: u64 = 10_000_000;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The address of the reserve; 0 before it is set up.
static START: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the reserve in use.
static USED: AtomicUsize = AtomicUsize::new(0);

/// The offset of the space that was never used. Written under the lock.
static TOP: AtomicUsize = AtomicUsize::new(0);

/// Freed blocks, one list for each power of two: the address of its first block, or 0. A block
/// holds the address of the next one. Written under the lock.
static FREE: [AtomicUsize; CLASSES] = [const { AtomicUsize::new(0) }; CLASSES];

/// Sizes from 16 bytes to [`LARGEST`].
const CLASSES: usize = 18;

/// Held for a few instructions, and only when memory is short.
static LOCK: AtomicBool = AtomicBool::new(false);

struct Allocator;

/// Sets up the reserve, once. Without it the agent works as long as the C library has memory.
pub(crate) fn set_up() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        // Miri does not know it.
        let no_reserve = if cfg!(miri) { 0 } else { libc::MAP_NORESERVE };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | no_reserve;
        // SAFETY: a new anonymous mapping, at an address that the system chooses.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if start != libc::MAP_FAILED {
            START.store(start as usize, Ordering::Release);
        }
    });
}

/// Whether memory is so short that no work should start that may need much of it.
#[inline]
pub(crate) fn is_pressed() -> bool {
    USED.load(Ordering::Relaxed) > PRESSED && !memory_is_back()
}

/// Whether memory is so short that hooks should only count.
#[inline]
pub(crate) fn is_exhausted() -> bool {
    USED.load(Ordering::Relaxed) > EXHAUSTED && !memory_is_back()
}

/// Uses up more than half of the reserve, for good.
#[cfg(feature = "fault-injection")]
pub(crate) fn pin() {
    let Ok(large) = Layout::from_size_align(LARGEST, 16) else { return };
    while USED.load(Ordering::Relaxed) <= EXHAUSTED && !take(large).is_null() {}
}

/// Whether the C library has memory again, although blocks of the reserve are still in use: what
/// was recorded during a shortage may stay for ever. A block is tried once in [`PROBE_NANOS`].
#[cold]
fn memory_is_back() -> bool {
    static TRIED: AtomicU64 = AtomicU64::new(0);
    static FOUND: AtomicBool = AtomicBool::new(false);
    if !system_has_memory() {
        return false;
    }
    let now = posix::coarse_nanos();
    let tried = TRIED.load(Ordering::Relaxed);
    if tried == 0 || now.saturating_sub(tried) > PROBE_NANOS {
        FOUND.store(malloc::has_block(PROBE), Ordering::Relaxed);
        TRIED.store(now, Ordering::Relaxed);
    }
    FOUND.load(Ordering::Relaxed)
}

/// The number of a size's class and the size of its blocks. None if the size is too large.
fn class(layout: Layout) -> Option<(usize, usize)> {
    let size = layout.size().max(layout.align()).max(16).checked_next_power_of_two()?;
    // Blocks are aligned to their size, up to the page size of the mapping.
    let fits = size <= LARGEST && layout.align() <= 4_096;
    fits.then_some((size.trailing_zeros() as usize - 4, size))
}

fn locked<T>(body: impl FnOnce() -> T) -> T {
    while LOCK.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        spin_loop();
    }
    let value = body();
    LOCK.store(false, Ordering::Release);
    value
}

/// A block from the reserve; null if it has no space.
#[cold]
fn take(layout: Layout) -> *mut u8 {
    let start = START.load(Ordering::Acquire);
    let Some((class, size)) = class(layout).filter(|_| start != 0) else { return ptr::null_mut() };
    let address = locked(|| {
        let free = FREE.get(class)?;
        let first = free.load(Ordering::Relaxed);
        if first != 0 {
            // SAFETY: a block in the list is free and holds the address of the next one.
            free.store(
                unsafe { ptr::with_exposed_provenance::<usize>(first).read() },
                Ordering::Relaxed,
            );
            return Some(first);
        }
        let begin = TOP.load(Ordering::Relaxed).next_multiple_of(size);
        if begin + size > SIZE {
            return None;
        }
        TOP.store(begin + size, Ordering::Relaxed);
        Some(start + begin)
    });
    let Some(address) = address else { return ptr::null_mut() };
    USED.fetch_add(size, Ordering::Relaxed);
    ptr::with_exposed_provenance_mut(address)
}

/// Returns a block to the reserve.
#[cold]
fn give_back(block: *mut u8, layout: Layout) {
    let Some((class, size)) = class(layout) else { return };
    locked(|| {
        let Some(free) = FREE.get(class) else { return };
        // SAFETY: the block is free, has at least 16 bytes, and is aligned to them.
        unsafe { block.cast::<usize>().write(free.load(Ordering::Relaxed)) };
        free.store(block.expose_provenance(), Ordering::Relaxed);
    });
    USED.fetch_sub(size, Ordering::Relaxed);
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
    return !crate::sys::fault_injection::memory_is_out();
    #[cfg(not(feature = "fault-injection"))]
    true
}

// SAFETY: blocks come from the C library's allocator or from disjoint ranges of the reserve, with
// the alignment and size of the layout, and are returned to the one that their address belongs to.
// Nothing unwinds.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::allocates(layout.size());
        let block = if system_has_memory() {
            // SAFETY: the caller's layout is passed on.
            unsafe { System.alloc(layout) }
        } else {
            ptr::null_mut()
        };
        if block.is_null() { take(layout) } else { block }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::allocates(layout.size());
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
            // SAFETY: the block was just taken and has this size; an earlier user may have written
            // to it.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::frees(layout.size());
        if is_of_reserve(block) {
            give_back(block, layout);
        } else {
            // SAFETY: it came from the C library with this layout.
            unsafe { System.dealloc(block, layout) };
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::allocates(size);
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::frees(layout.size());
        let ours = is_of_reserve(block);
        if !ours && system_has_memory() {
            // SAFETY: the caller's arguments are passed on.
            let grown = unsafe { System.realloc(block, layout, size) };
            if !grown.is_null() {
                return grown;
            }
        }
        // SAFETY: the caller guarantees that the size, rounded up to the alignment, does not
        // overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the size is not zero, as the caller guarantees.
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

    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// There is one reserve, so its tests run one after the other.
    fn turn() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        set_up();
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// The bytes of a block.
    fn bytes<'a>(block: *mut u8, size: usize) -> &'a mut [u8] {
        // SAFETY: the tests have the block, of this size, alone.
        unsafe { std::slice::from_raw_parts_mut(block, size) }
    }

    #[test]
    fn blocks_are_apart_aligned_and_used_again() {
        let _turn = turn();
        assert!(take(layout(LARGEST + 1, 8)).is_null() && take(layout(8, 8_192)).is_null());
        let large = if cfg!(miri) { 5_000 } else { 70_000 };
        for (size, align) in [(100, 64), (1, 1), (16, 16), (4_000, 4_096), (large, 8)] {
            let layout = layout(size, align);
            let all: Vec<*mut u8> = (0..20).map(|_| take(layout)).collect();
            for (number, block) in all.iter().enumerate() {
                assert!(is_of_reserve(*block) && (*block as usize).is_multiple_of(align));
                bytes(*block, size).fill(number as u8);
            }
            for (number, block) in all.iter().enumerate() {
                assert!(
                    bytes(*block, size).iter().all(|byte| *byte == number as u8),
                    "blocks overlap"
                );
            }
            let top = TOP.load(Ordering::Relaxed);
            // In whatever order they are freed.
            all.iter()
                .step_by(2)
                .chain(all.iter().skip(1).step_by(2))
                .for_each(|it| give_back(*it, layout));
            let again: Vec<*mut u8> = (0..20).map(|_| take(layout)).collect();
            assert_eq!(
                TOP.load(Ordering::Relaxed),
                top,
                "no new space is needed for the same again"
            );
            again.into_iter().for_each(|block| give_back(block, layout));
        }
        assert_eq!(USED.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_block_moves_out_of_the_reserve_when_it_grows() {
        let _turn = turn();
        let small = layout(100, 8);
        let block = take(small);
        bytes(block, 100).fill(7);
        // SAFETY: the block is of the reserve and has this layout.
        let moved = unsafe { ALLOCATOR.realloc(block, small, 200) };
        assert!(!is_of_reserve(moved) && bytes(moved, 100).iter().all(|byte| *byte == 7));
        // SAFETY: it came from `realloc` with this layout.
        unsafe { ALLOCATOR.dealloc(moved, layout(200, 8)) };
        assert_eq!(USED.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_reserve_counts_as_pressed_only_while_there_is_no_memory() {
        let _turn = turn();
        let large = layout(LARGEST, 8);
        let mut blocks = Vec::new();
        while USED.load(Ordering::Relaxed) <= EXHAUSTED {
            blocks.push(take(large));
            assert!(!blocks[blocks.len() - 1].is_null());
        }
        assert!(!is_pressed() && !is_exhausted(), "the C library has memory");
        blocks.into_iter().for_each(|block| give_back(block, large));
        assert_eq!(USED.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn threads_get_blocks_of_their_own() {
        let _turn = turn();
        let layout = layout(48, 16);
        std::thread::scope(|scope| {
            for number in 0..8_u8 {
                scope.spawn(move || {
                    for _ in 0..if cfg!(miri) { 100 } else { 10_000 } {
                        let block = take(layout);
                        assert!(!block.is_null());
                        bytes(block, 48).fill(number);
                        assert!(bytes(block, 48).iter().all(|byte| *byte == number));
                        give_back(block, layout);
                    }
                });
            }
        });
        assert_eq!(USED.load(Ordering::Relaxed), 0);
    }
}
