//! Reads of this process's own memory: direct ones, and ones that fail where nothing is mapped.
//!
//! Other threads may write what is read here, so every read is a relaxed atomic load. Invariant: a
//! checked read never faults, whatever the address.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence};

/// A number that can be read.
pub(crate) trait Value: Copy {
    /// # Safety
    /// The address is mapped and aligned for this type.
    unsafe fn load(at: usize) -> Self;

    /// The number at an offset of a piece of memory.
    fn of_bytes(bytes: &[u8], offset: usize) -> Option<Self>;
}

macro_rules! value {
    ($($type:ty, $atomic:ty;)*) => {$(
        impl Value for $type {
            #[inline(always)]
            unsafe fn load(at: usize) -> $type {
                // SAFETY: the caller guarantees a mapped and aligned address, and the reference
                // does not outlive this expression.
                unsafe { <$atomic>::from_ptr(std::ptr::with_exposed_provenance_mut(at)) }
                    .load(Ordering::Relaxed)
            }

            fn of_bytes(bytes: &[u8], offset: usize) -> Option<$type> {
                let bytes = bytes.get(offset..)?.first_chunk()?;
                Some(<$type>::from_le_bytes(*bytes))
            }
        }
    )*};
}

value! {
    u8, AtomicU8;
    u16, AtomicU16;
    u32, AtomicU32;
    usize, AtomicUsize;
}

/// A way to read memory.
pub(crate) trait Reader {
    /// Whether it may be spared a read whose result is known.
    const REMEMBERS: bool;

    /// The number at an address. None if the address cannot be read.
    ///
    /// # Safety
    /// The address is mapped and aligned, or the reader is [`Checked`].
    unsafe fn read<T: Value>(&mut self, at: usize) -> Option<T>;

    /// What is there now, after all earlier reads.
    ///
    /// # Safety
    /// As for [`Reader::read`].
    unsafe fn read_again<T: Value>(&mut self, at: usize) -> Option<T>;
}

/// Reads without a check.
pub(crate) struct Direct;

impl Reader for Direct {
    const REMEMBERS: bool = true;

    #[inline(always)]
    unsafe fn read<T: Value>(&mut self, at: usize) -> Option<T> {
        // SAFETY: the caller guarantees a mapped and aligned address.
        Some(unsafe { T::load(at) })
    }

    #[inline(always)]
    unsafe fn read_again<T: Value>(&mut self, at: usize) -> Option<T> {
        fence(Ordering::Acquire);
        // SAFETY: as above.
        unsafe { self.read(at) }
    }
}

/// The size of a piece, in bytes; pieces are aligned to it.
const PIECE: usize = 512;

/// How many pieces are kept.
const PIECES: usize = 16;

/// Reads through the kernel, which refuses an address that is not mapped. A call takes more than a
/// microsecond, so pieces of memory are kept; `read_again` is for what may change.
pub(crate) struct Checked {
    pieces: [[u8; PIECE]; PIECES],
    /// The address of each piece; 1 if there is none.
    addresses: [usize; PIECES],
}

impl Checked {
    pub(crate) fn new() -> Checked {
        Checked { pieces: [[0; PIECE]; PIECES], addresses: [1; PIECES] }
    }

    /// The number at an address. None if nothing is mapped there, or if it is not aligned.
    pub(crate) fn get<T: Value>(&mut self, at: usize) -> Option<T> {
        let (address, offset) = (at & !(PIECE - 1), at & (PIECE - 1));
        let slot = (address / PIECE) % PIECES;
        let piece = self.pieces.get_mut(slot)?;
        let known = self.addresses.get_mut(slot)?;
        if !at.is_multiple_of(size_of::<T>()) {
            return None;
        }
        if *known != address {
            *known = if copy(address, piece) { address } else { return None };
        }
        T::of_bytes(piece, offset)
    }
}

impl Reader for Checked {
    const REMEMBERS: bool = false;

    unsafe fn read<T: Value>(&mut self, at: usize) -> Option<T> {
        self.get(at)
    }

    unsafe fn read_again<T: Value>(&mut self, at: usize) -> Option<T> {
        self.addresses
            .iter_mut()
            .filter(|known| **known == at & !(PIECE - 1))
            .for_each(|known| *known = 1);
        self.get(at)
    }
}

/// Copies memory of this process. False if not all of it is mapped, or if the kernel forbids it.
fn copy(from: usize, to: &mut [u8]) -> bool {
    let into = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let source =
        libc::iovec { iov_base: std::ptr::without_provenance_mut(from), iov_len: to.len() };
    // SAFETY: `to` has room for as many bytes, and the kernel checks the other address.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &into, 1, &source, 1, 0) };
    usize::try_from(copied) == Ok(to.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no process_vm_readv")]
    fn a_checked_read_returns_what_is_there() {
        let numbers: [usize; 3] = [1, 0x0102_0304_0506_0708, 3];
        let at = numbers.as_ptr().expose_provenance();
        let mut checked = Checked::new();
        assert_eq!(checked.get::<usize>(at + 8), Some(numbers[1]));
        assert_eq!(checked.get::<u32>(at + 8), Some(0x0506_0708));
        assert_eq!(checked.get::<u16>(at + 14), Some(0x0102));
        assert_eq!(checked.get::<u8>(at + 8), Some(8));
        // SAFETY: the array is mapped and aligned.
        assert_eq!(unsafe { Direct.read::<usize>(at + 16) }, Some(3));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no process_vm_readv")]
    fn what_is_read_again_is_what_is_there_now() {
        let number = AtomicUsize::new(1);
        let at = (&raw const number).expose_provenance();
        let mut checked = Checked::new();
        assert_eq!(checked.get::<usize>(at), Some(1));
        number.store(2, Ordering::Relaxed);
        assert_eq!(checked.get::<usize>(at), Some(1), "a piece that is kept");
        // SAFETY: the number is mapped and aligned.
        let again = unsafe { (checked.read_again::<usize>(at), Direct.read_again::<usize>(at)) };
        assert_eq!(again, (Some(2), Some(2)));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no process_vm_readv")]
    fn a_checked_read_never_faults() {
        let mut checked = Checked::new();
        for at in [0, 8, 0x1000, usize::MAX - 7, 1 << 47, 0xffff_8000_0000_0000] {
            assert_eq!(checked.get::<usize>(at), None, "{at:#x}");
        }
        let numbers = [0_usize; 2];
        assert_eq!(checked.get::<usize>(numbers.as_ptr().expose_provenance() + 4), None);
    }
}
