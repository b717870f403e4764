//! The meaning of our JVMTI tags: an instance, a thread, or a mark of adoption.
//!
//! Owns the bits, nothing else. Invariant: an instance's tag is its id, and no other tag looks like
//! one.

use crate::sys::jvmti::jlong;
use zaudit_core::model::{InstanceId, Role, ThreadId};

const THREAD: jlong = 1 << 62;
const PROGRAM: jlong = 1 << 61;
const RECLAIMER: jlong = 1 << 60;
const MARK: jlong = 1 << 59;

/// An instance whose `end()` began before the search found it: not to be adopted.
pub(crate) const ENDING: jlong = MARK | 1;
/// The first batch of instances that the search has marked and not inspected; the next batch is one
/// more.
const CANDIDATES: jlong = MARK | 16;

/// The mark of a batch.
pub(crate) fn candidate(batch: usize) -> jlong {
    CANDIDATES + jlong::try_from(batch).unwrap_or(0)
}

#[inline]
pub(crate) fn is_candidate(tag: jlong) -> bool {
    (CANDIDATES..RECLAIMER).contains(&tag)
}

/// The instance that a tag stands for, if it stands for one.
#[inline]
pub(crate) fn instance(tag: jlong) -> Option<InstanceId> {
    (tag > 0 && tag < MARK).then(|| InstanceId(tag.cast_unsigned()))
}

/// The tag of a virtual thread's `Thread` object: its id, and its role if that is known.
pub(crate) fn of_thread(id: ThreadId, role: Option<Role>) -> jlong {
    let role = match role {
        None => 0,
        Some(Role::Program) => PROGRAM,
        Some(Role::Reclaimer | Role::StreamFinalizer) => RECLAIMER,
    };
    THREAD | role | jlong::try_from(id.0).unwrap_or(0)
}

/// The parts of a tag of [`of_thread`].
pub(crate) fn thread(tag: jlong) -> (ThreadId, Option<Role>) {
    let role = match (tag & PROGRAM, tag & RECLAIMER) {
        (0, 0) => None,
        (_, 0) => Some(Role::Program),
        _ => Some(Role::Reclaimer),
    };
    (ThreadId((tag & !(THREAD | PROGRAM | RECLAIMER)).unsigned_abs()), role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_what_was_put_in_and_are_no_instance_s() {
        for role in [None, Some(Role::Program), Some(Role::Reclaimer)] {
            let tag = of_thread(ThreadId(123_456), role);
            assert_eq!(thread(tag), (ThreadId(123_456), role));
            assert!(instance(tag).is_none() && tag > 0);
        }
        for mark in [candidate(0), candidate(100_000), ENDING, 0] {
            assert!(instance(mark).is_none() && is_candidate(mark) == (mark >= candidate(0)));
        }
        assert_eq!(instance(1 << 40), Some(InstanceId(1 << 40)));
    }
}
