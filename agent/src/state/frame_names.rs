//! Names of frames, so that each is read from the JVM once.
//!
//! HotSpot does not give the id of a method to another one when its class is unloaded (it keeps or
//! never reuses the blocks), so the names of a method and a position stay right. But a redefined
//! method keeps the id of its older version: hence the version, see `redefinitions`. Invariant: the
//! number of names is bounded.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zaudit_core::model::FrameId;

/// What a method and a position in it are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameName {
    Frame(FrameId),
    /// A frame that Java's own stack traces hide as well.
    Hidden,
}

/// The names of one audit, by method id and position.
pub(crate) struct FrameNames {
    most: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    version: u64,
    names: HashMap<(usize, i64), FrameName>,
}

impl FrameNames {
    /// What one name takes, about.
    const BYTES: usize = 64;

    /// No names yet, and never more than fit into this number of bytes.
    pub(crate) fn with_room(bytes: usize) -> FrameNames {
        FrameNames { most: bytes / FrameNames::BYTES, known: Mutex::default() }
    }

    /// The names that are known, in the order of `frames`.
    pub(crate) fn find(
        &self,
        version: u64,
        frames: impl Iterator<Item = (usize, i64)>,
        mut each: impl FnMut(Option<FrameName>),
    ) {
        let known = self.of_version(version);
        frames.for_each(|frame| each(known.names.get(&frame).copied()));
    }

    pub(crate) fn enter(&self, version: u64, frame: (usize, i64), name: FrameName) {
        let mut known = self.of_version(version);
        if known.names.len() >= self.most {
            known.names.clear();
        }
        // A name that there is no memory for is read again.
        if known.names.try_reserve(1).is_ok() {
            known.names.insert(frame, name);
        }
    }

    fn of_version(&self, version: u64) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version != version {
            *known = Known { version, ..Known::default() };
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &FrameNames, version: u64, frame: (usize, i64)) -> Option<FrameName> {
        let mut found = None;
        names.find(version, [frame].into_iter(), |name| found = name);
        found
    }

    #[test]
    fn names_are_those_of_their_version() {
        let names = FrameNames::with_room(10 * FrameNames::BYTES);
        let (hidden, frame) = (FrameName::Hidden, FrameName::Frame(FrameId(7)));
        names.enter(0, (16, 3), frame);
        names.enter(0, (16, 4), hidden);
        assert_eq!(found(&names, 0, (16, 3)), Some(frame));
        assert_eq!(found(&names, 0, (16, 4)), Some(hidden));
        assert_eq!(found(&names, 0, (24, 3)), None);
        assert_eq!(found(&names, 1, (16, 3)), None);
    }

    #[test]
    fn there_are_never_more_than_fit() {
        let names = FrameNames::with_room(10 * FrameNames::BYTES);
        for method in 0..95 {
            names.enter(0, (method, 0), FrameName::Hidden);
            assert!(names.known.lock().unwrap().names.len() <= 10);
            assert_eq!(found(&names, 0, (method, 0)), Some(FrameName::Hidden));
        }
    }
}
