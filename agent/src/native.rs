//! What one open stream holds outside the Java heap.
//!
//! Plain numbers; measures nothing itself. Invariant: an estimate is never told as a measurement.

use crate::event::{Kind, PerKind};

/// Native bytes of one open stream of each kind, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// Bytes allocated for one used stream, its window included.
    pub each: PerKind<u64>,
}

impl Native {
    /// Bytes that so many streams of a kind hold.
    pub fn bytes(&self, kind: Kind, streams: u64) -> u64 {
        streams.saturating_mul(*self.each.get(kind))
    }
}

impl Default for Native {
    /// zlib 1.2 to 1.3 on a 64-bit machine: `z_stream` (112) and `inflate_state` (7,152) with its 32 KiB window, or
    /// `deflate_state` (5,936) with window, `prev`, `head` and pending buffer of 64 KiB each. An estimate: the JDK always asks
    /// for the same window and memory level, but other builds of zlib differ by a few per cent.
    fn default() -> Native {
        Native { each: PerKind { inflater: 112 + 7_152 + 32_768, deflater: 112 + 5_936 + 4 * 65_536 } }
    }
}
