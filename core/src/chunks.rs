//! A list of entries that never move, so that readers need no lock.
//!
//! Invariant: once there is room for an entry, its address stays the same as long as the list
//! lives.

use crate::model::OutOfMemory;
use std::sync::OnceLock;

/// A list that grows by `CHUNK` entries at a time, each of them the default at first.
#[derive(Debug)]
pub(crate) struct Chunks<T, const CHUNK: usize> {
    chunks: Box<[OnceLock<Box<[T]>>]>,
}

impl<T: Default, const CHUNK: usize> Chunks<T, CHUNK> {
    /// An empty list that can grow to `most` entries.
    pub(crate) fn with_most(most: usize) -> Self {
        Chunks { chunks: (0..most.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect() }
    }

    /// An entry that there is room for.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.chunks.get(index as usize / CHUNK)?.get()?.get(index as usize % CHUNK)
    }

    /// An entry; makes room for it. The error is also that the list is as long as it can be.
    pub(crate) fn get_or_add(&self, index: u32) -> Result<&T, OutOfMemory> {
        let chunk = self.chunks.get(index as usize / CHUNK).ok_or(OutOfMemory)?;
        if chunk.get().is_none() {
            let mut entries = Vec::new();
            entries.try_reserve_exact(CHUNK)?;
            entries.resize_with(CHUNK, T::default);
            // Another thread may have been faster.
            let _ = chunk.set(entries.into());
        }
        self.get(index).ok_or(OutOfMemory)
    }

    /// All entries that there is room for, with their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let chunks = self.chunks.iter().enumerate();
        let chunks = chunks.filter_map(|(number, chunk)| Some((number * CHUNK, chunk.get()?)));
        chunks.flat_map(|(first, chunk)| {
            chunk.iter().enumerate().map(move |(at, entry)| ((first + at) as u32, entry))
        })
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flat_map(|chunk| chunk.get_mut().into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn entries_stay_where_they_are() {
        let list: Chunks<AtomicU32, 4> = Chunks::with_most(10);
        assert!(list.get(0).is_none());
        let first: *const AtomicU32 = list.get_or_add(1).unwrap();
        for index in 0..12 {
            list.get_or_add(index).unwrap().store(index, Ordering::Relaxed);
        }
        assert_eq!(list.get_or_add(12).err(), Some(OutOfMemory), "no room for a fourth chunk");
        assert!(std::ptr::eq(first, list.get(1).unwrap()));
        assert!(list.iter().all(|(index, entry)| entry.load(Ordering::Relaxed) == index));
        assert_eq!(list.iter().count(), 12);
    }

    #[test]
    fn only_what_was_added_takes_room() {
        let list: Chunks<AtomicU32, 4> = Chunks::with_most(1_000);
        list.get_or_add(999).unwrap();
        assert!(list.get(0).is_none() && list.get(995).is_none() && list.get(996).is_some());
    }
}
