//! Whether the walk may be trusted: per kind of frame, and at all.
//!
//! Until enough stacks with a kind of frame have agreed with GetStackTrace, such stacks are walked
//! with checked reads only, and only to be compared. Invariant: after one disagreement the walk is
//! off until the process ends, with the reason; or that of frozen frames, if the stack had some.

use super::walk::{Kinds, Physical, Visitor, Why};
use crate::sys::jvmti::jvmtiFrameInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use zaudit_core::options::MAX_DEPTH;

/// How many stacks with a kind of frame must agree before it is trusted.
const ENOUGH: u32 = 24;

/// How many stacks are walked with checked reads at most, which take long: a kind of frame may
/// never come to be trusted.
const MAX_CHECKED: u32 = 4_096;

/// How many stacks may have frames that cannot be.
const MAX_IMPOSSIBLE: u32 = 8;

static TRUSTED: AtomicU16 = AtomicU16::new(0);

/// Stacks that agreed, for each kind of frame.
static AGREED: [AtomicU32; u16::BITS as usize] = [const { AtomicU32::new(0) }; u16::BITS as usize];

/// Stacks that were walked with checked reads: because of frames on the stack, and of frozen ones.
static CHECKED: AtomicU32 = AtomicU32::new(0);
static CHECKED_FROZEN: AtomicU32 = AtomicU32::new(0);

/// Stacks with frames that cannot be, and with frozen ones that cannot.
static IMPOSSIBLE: AtomicU32 = AtomicU32::new(0);
static IMPOSSIBLE_FROZEN: AtomicU32 = AtomicU32::new(0);

/// Why the walk is off for good.
static FAILED: OnceLock<String> = OnceLock::new();

/// Why frozen frames are no longer read.
static FAILED_FROZEN: OnceLock<String> = OnceLock::new();

/// The kinds of frames that are trusted.
#[inline]
pub(super) fn trusted() -> Kinds {
    Kinds(TRUSTED.load(Ordering::Relaxed))
}

/// Whether one more stack, which has no key for this reason, may be walked with checked reads.
pub(super) fn may_check(why: Why) -> bool {
    let checked = match why {
        Why::Untested => &CHECKED,
        Why::UntestedFrozen => &CHECKED_FROZEN,
        _ => return false,
    };
    checked.load(Ordering::Relaxed) < MAX_CHECKED
        && checked.fetch_add(1, Ordering::Relaxed) < MAX_CHECKED
}

/// A stack with these kinds of frames agrees with GetStackTrace.
pub(super) fn agreed(kinds: Kinds) {
    for (bit, agreed) in AGREED.iter().enumerate().filter(|(bit, _)| kinds.0 >> bit & 1 != 0) {
        if agreed.fetch_add(1, Ordering::Relaxed) + 1 == ENOUGH {
            TRUSTED.fetch_or(1 << bit, Ordering::Relaxed);
        }
    }
}

/// A stack with these kinds of frames was wrong: switches off for good what may be to blame, the
/// walk of frozen frames if there are any.
#[cold]
pub(super) fn fail(kinds: Kinds, reason: String) {
    // The first reason is the one that matters.
    if kinds.has(Kinds::FROZEN) {
        let _ = FAILED_FROZEN.set(reason);
    } else {
        TRUSTED.store(0, Ordering::Relaxed);
        let _ = FAILED.set(reason);
    }
}

/// Why the walk is off for good, if it is.
pub(super) fn failed() -> Option<&'static str> {
    FAILED.get().map(String::as_str)
}

/// Why frozen frames are no longer read, if they are not.
#[inline]
pub(super) fn frozen_failed() -> Option<&'static str> {
    FAILED_FROZEN.get().map(String::as_str)
}

/// A stack has no key for this reason.
pub(super) fn count(why: Why) {
    if !why.is_impossible() {
        return;
    }
    let (impossible, kinds) = match why {
        Why::FrozenFrame => (&IMPOSSIBLE_FROZEN, Kinds::FROZEN),
        _ => (&IMPOSSIBLE, Kinds::default()),
    };
    if impossible.fetch_add(1, Ordering::Relaxed) >= MAX_IMPOSSIBLE {
        fail(kinds, format!("{} on more than {MAX_IMPOSSIBLE} stacks", why.name()));
    }
}

/// A set of positions in a list of frames.
type Positions = [u64; MAX_DEPTH / 64 + 1];

/// Fits physical frames to the frames of GetStackTrace, from the innermost outwards.
///
/// An interpreted frame is one frame of the list. A compiled frame is one or more, and its own
/// method is the outermost of them; where that method occurs more than once, all ways are followed.
pub(super) struct Structure<'a> {
    /// Innermost first.
    frames: &'a [jvmtiFrameInfo],
    /// Whether the list was cut at its outer end.
    cut: bool,
    /// Where the next physical frame may begin. The length of the list stands for its end.
    begins: Positions,
}

impl<'a> Structure<'a> {
    pub(super) fn new(frames: &'a [jvmtiFrameInfo], cut: bool) -> Structure<'a> {
        let mut structure = Structure { frames, cut, begins: [0; _] };
        insert(&mut structure.begins, 0);
        structure
    }

    /// Whether all physical frames fit. `complete` says whether the walk came to the outermost one.
    pub(super) fn fits(&self, complete: bool) -> bool {
        if self.cut {
            self.begins.iter().any(|word| *word != 0)
        } else {
            complete && contains(&self.begins, self.frames.len())
        }
    }
}

fn insert(positions: &mut Positions, position: usize) {
    if let Some(word) = positions.get_mut(position / 64) {
        *word |= 1 << (position % 64);
    }
}

fn contains(positions: &Positions, position: usize) -> bool {
    positions.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 != 0)
}

/// The first and the last position of a set; if it is empty, none is between them.
fn ends(positions: &Positions) -> (usize, usize) {
    let bit = |word: usize, bit: u32| 64 * word + bit as usize;
    let mut words = positions.iter().enumerate().filter(|(_, word)| **word != 0);
    let Some((at, word)) = words.next() else { return (usize::MAX, 0) };
    let first = bit(at, word.trailing_zeros());
    let (at, word) = words.next_back().unwrap_or((at, word));
    (first, bit(at, 63 - word.leading_zeros()))
}

impl Visitor for Structure<'_> {
    const SEES: bool = true;

    fn frame(&mut self, physical: Physical) {
        let mut next: Positions = [0; _];
        let end = self.frames.len();
        // An interpreted frame is where the last one ended, so that the rest need not be searched.
        let (first, last) = ends(&self.begins);
        let last = if matches!(physical, Physical::Interpreted(..)) { last } else { end };
        let all = self.frames.iter().enumerate();
        for (position, frame) in all.skip(first).take((last + 1).saturating_sub(first)) {
            let method = frame.method as usize;
            let fits = match physical {
                // GetStackTrace has -1 for a native method, and the frame 0.
                Physical::Interpreted(id, index) => {
                    let same = index == frame.location.max(0);
                    contains(&self.begins, position) && method == id && same
                }
                Physical::Compiled(id) => method == id,
            };
            if fits {
                insert(&mut next, position + 1);
            }
        }
        // What lies beyond the end of a list that was cut is not known.
        let beyond = contains(&self.begins, end);
        if self.cut && (beyond || (first < end && matches!(physical, Physical::Compiled(_)))) {
            insert(&mut next, end);
        }
        self.begins = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(list: &[(usize, i64)]) -> Vec<jvmtiFrameInfo> {
        list.iter()
            .map(|(method, location)| jvmtiFrameInfo {
                method: *method as *mut _,
                location: *location,
            })
            .collect()
    }

    fn fits(list: &[(usize, i64)], cut: bool, physical: &[Physical], complete: bool) -> bool {
        let frames = frames(list);
        let mut structure = Structure::new(&frames, cut);
        physical.iter().for_each(|frame| structure.frame(*frame));
        structure.fits(complete)
    }

    use Physical::{Compiled as C, Interpreted as I};

    #[test]
    fn a_stack_fits_only_as_a_whole() {
        let list = [(8, 1), (16, 2), (16, 2), (24, -1), (8, 5)];
        for (physical, expected) in [
            (&[I(8, 1), C(16), I(24, 0), C(8)][..], true),
            (&[I(8, 1), C(16), C(16), I(24, 0), I(8, 5)], true),
            (&[C(8)], true),
            (&[C(16), C(8)], true),
            (&[I(8, 1), I(16, 2), I(16, 2), I(24, 0), I(8, 5)], true),
            (&[I(8, 1), I(16, 2), I(16, 2), I(24, 1), I(8, 5)], false),
            (&[I(8, 1), C(16), C(16), C(16), I(24, 0), I(8, 5)], false),
            (&[I(8, 1), C(16), I(24, 0)], false),
            (&[I(8, 2), C(16), I(24, 0), C(8)], false),
            (&[I(8, 1), C(24)], false),
            (&[C(16), C(8), C(8)], false),
            (&[], false),
        ] {
            assert_eq!(fits(&list, false, physical, true), expected, "{physical:?}");
            assert!(!fits(&list, false, physical, false), "the walk was cut, and the list not");
        }
    }

    #[test]
    fn a_list_that_was_cut_fits_as_far_as_it_goes() {
        let list = [(8, 1), (16, 2)];
        assert!(fits(&list, true, &[I(8, 1), I(16, 2)], false));
        assert!(fits(&list, true, &[I(8, 1), C(99), I(7, 7)], false), "its method may be beyond");
        assert!(fits(&list, true, &[I(8, 1), I(16, 2), I(7, 7)], false), "beyond");
        assert!(!fits(&list, true, &[I(8, 1), I(16, 3)], false));
        assert!(!fits(&list, true, &[I(9, 1)], false));
    }

    #[test]
    fn the_longest_list_has_room() {
        let list: Vec<_> = (0..=MAX_DEPTH).map(|at| (8 * (at + 1), 0)).collect();
        let physical: Vec<_> = list.iter().map(|(method, index)| I(*method, *index)).collect();
        assert!(fits(&list, true, &physical, false));
        assert!(fits(list.get(1..).unwrap(), false, physical.get(1..).unwrap(), true));
    }
}
