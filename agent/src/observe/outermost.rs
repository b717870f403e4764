//! The outermost frames of a stack, by requests that count from the innermost frame.
//!
//! [`Jvmti::frames`](crate::sys::jvmti::Jvmti::frames) cannot count from the other end. Another
//! thread keeps running between two requests. Invariant: the frames checked come from one reply,
//! which ends with the outermost frame of the stack.

use crate::sys::jvmti::{Result, jvmtiError};
use std::mem::MaybeUninit;

/// How many outermost frames are checked.
pub(crate) const OUTERMOST: usize = 16;

/// How often a stack may become shorter between two replies before the search fails.
const ATTEMPTS: usize = 8;

/// Whether one of the outermost of `frames` is `wanted`. They end with the outermost frame of their
/// stack.
pub(crate) fn any_of<T>(frames: &[T], mut wanted: impl FnMut(&T) -> Result<bool>) -> Result<bool> {
    for frame in frames.iter().skip(frames.len().saturating_sub(OUTERMOST)) {
        if wanted(frame)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one of the outermost frames of a stack is `wanted`. `frames` returns the frames of that
/// stack from a number on, as many as exist or fit; ILLEGAL_ARGUMENT if there are none.
///
/// A reply that does not fill the buffer ends with the outermost frame: one request suffices for
/// every stack of fewer frames than fit. A longer stack is read in pieces that overlap, so that the
/// last piece has enough frames.
pub(crate) fn any<T>(
    buffer: &mut [MaybeUninit<T>],
    mut frames: impl for<'a> FnMut(usize, &'a mut [MaybeUninit<T>]) -> Result<&'a [T]>,
    wanted: impl FnMut(&T) -> Result<bool>,
) -> Result<bool> {
    let room = buffer.len();
    // Pieces overlap.
    let Some(step) = room.checked_sub(OUTERMOST).filter(|step| *step > 0) else {
        return Err(jvmtiError::INTERNAL);
    };
    let mut skip = 0;
    let mut attempts = 1;
    loop {
        let piece = match frames(skip, buffer) {
            // The stack has become shorter since the last reply.
            Err(jvmtiError::ILLEGAL_ARGUMENT) if skip > 0 => &[],
            other => other?,
        };
        if piece.len() == room {
            skip += step;
        } else if skip == 0 || piece.len() >= OUTERMOST {
            return any_of(piece, wanted);
        } else if attempts == ATTEMPTS {
            return Err(jvmtiError::ILLEGAL_ARGUMENT);
        } else {
            skip = 0;
            attempts += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 64;

    /// Replies as GetStackTrace does. `depths` are the depths of the stack at consecutive requests;
    /// the last one stays. The outermost frame is number 1. Returns the result, the frames checked,
    /// and the skips.
    fn look(depths: &[usize], wanted: usize) -> (Result<bool>, Vec<usize>, Vec<usize>) {
        let (mut seen, mut skips) = (Vec::new(), Vec::new());
        let mut buffer = [MaybeUninit::uninit(); ROOM];
        let answer = any(
            &mut buffer,
            |skip, buffer| {
                let depth = depths[skips.len().min(depths.len() - 1)];
                skips.push(skip);
                if skip > 0 && skip >= depth {
                    return Err(jvmtiError::ILLEGAL_ARGUMENT);
                }
                let filled = (depth - skip).min(buffer.len());
                for (at, place) in buffer[..filled].iter_mut().enumerate() {
                    place.write(depth - skip - at);
                }
                // SAFETY: as many were written.
                Ok(unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast(), filled) })
            },
            |frame| {
                seen.push(*frame);
                Ok(*frame == wanted)
            },
        );
        (answer, seen, skips)
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn the_outermost_frames_are_looked_at_however_deep_the_stack_is() {
        for depth in (1..400).chain([1_023, 1_024, 1_025, 2_047, 2_048, 2_049, 10_000]) {
            let (answer, seen, skips) = look(&[depth], usize::MAX);
            let outermost: Vec<usize> = (1..=depth.min(OUTERMOST)).rev().collect();
            assert_eq!((answer, seen), (Ok(false), outermost), "{depth}");
            assert!(depth >= ROOM || skips == [0], "{depth}: one request does, not {skips:?}");
            for wanted in [1, OUTERMOST.min(depth)] {
                assert_eq!(look(&[depth], wanted).0, Ok(true), "{wanted} of {depth}");
            }
            assert_eq!(
                look(&[depth], OUTERMOST + 1).0,
                Ok(false),
                "{depth}: deeper than the outermost frames"
            );
        }
        assert_eq!(look(&[0], 1).0, Ok(false), "a thread without a frame");
    }

    #[test]
    fn a_stack_that_changes_between_two_answers_is_looked_at_in_one_of_them() {
        let outermost: Vec<usize> = (1..=OUTERMOST).rev().collect();
        // Longer; shorter, with enough frames left; shorter, with too few; only a few frames left;
        // none left.
        for depths in
            [&[100, 200][..], &[100, 70], &[100, 50], &[100, 5], &[100, 0], &[500, 90, 60, 300]]
        {
            let (answer, seen, skips) = look(depths, usize::MAX);
            let last = depths[depths.len() - 1].min(OUTERMOST);
            assert_eq!(
                (answer, seen),
                (Ok(false), outermost[OUTERMOST - last..].to_vec()),
                "{skips:?}"
            );
        }
    }

    #[test]
    fn a_stack_that_never_rests_is_given_up() {
        let depths: Vec<usize> = (0..100).map(|at| if at % 2 == 0 { 100 } else { 20 }).collect();
        let (answer, seen, skips) = look(&depths, 1);
        assert_eq!(
            (answer, seen.len(), skips.len()),
            (Err(jvmtiError::ILLEGAL_ARGUMENT), 0, 2 * ATTEMPTS)
        );
    }

    #[test]
    fn a_refusal_is_handed_on() {
        let mut buffer = [MaybeUninit::<usize>::uninit(); ROOM];
        for error in
            [jvmtiError::WRONG_PHASE, jvmtiError::THREAD_NOT_ALIVE, jvmtiError::ILLEGAL_ARGUMENT]
        {
            assert_eq!(any(&mut buffer, |_, _| Err(error), |_| Ok(true)), Err(error));
        }
    }
}
