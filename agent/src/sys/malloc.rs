//! Whether the C library has memory at this moment.
//!
//! Invariant: nothing is kept.

use std::hint::black_box;

/// Whether this thread gets a block of any size up to this one. Allocators keep blocks of similar
/// sizes together, and may have none of one size, and no memory to make some, while they have
/// others. What is freed here, the thread gets next, unless another one takes it first.
pub(crate) fn has_memory(largest: usize) -> bool {
    let powers = (4..usize::BITS).map(|power| 1 << power);
    let sizes = powers.flat_map(|power| (4..8).map(move |quarters| power / 4 * quarters));
    sizes.take_while(|size| *size < largest).chain([largest]).all(has_block)
}

/// Whether this thread gets a block of this size.
pub(crate) fn has_block(size: usize) -> bool {
    // The compiler may leave out a block that is not used, as if there always were one.
    // SAFETY: `malloc` takes any size.
    let block = black_box(unsafe { libc::malloc(size) });
    // SAFETY: it comes from `malloc`, or is null.
    unsafe { libc::free(block) };
    !block.is_null()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory_but_not_any_amount() {
        assert!(has_memory(66 << 10));
        assert!(!has_memory(usize::MAX / 4) && !has_block(usize::MAX / 4));
    }
}
