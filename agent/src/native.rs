//! What one open stream holds outside the Java heap.
//!
//! Plain numbers, and a table for where they cannot be measured; measures nothing itself. Invariant: an estimate is never
//! told as a measurement.

use crate::event::{Kind, PerKind};

/// Native bytes of one open stream of each kind, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// Version of the zlib that this process works with, as it gives it itself; empty where it is not known.
    pub zlib: String,
    /// Whether the bytes were measured on that zlib; else they are from a table.
    pub measured: bool,
    /// Bytes allocated for one that has not worked yet.
    pub fresh: PerKind<u64>,
    /// Bytes allocated for one used stream, its window included.
    pub each: PerKind<u64>,
}

/// `z_stream` on a 64-bit machine.
const Z_STREAM: u64 = 112;
/// What an Inflater remembers of its output; it comes with the first of it.
const WINDOW: u64 = 1 << 15;

impl Native {
    /// From the table, for a zlib of this version. The JDK always asks for the same window and memory level, so the builds of
    /// one zlib differ by a few per cent only.
    pub fn estimate(zlib: &str) -> Native {
        // zlib 1.2 to 1.3: `inflate_state`, and `deflate_state` with window, `prev`, `head` and pending buffer of 64 KiB each.
        // zlib-ng 2: the same with a hash table of 128 KiB, all in one piece.
        let (inflate, deflate) =
            if zlib.contains("ng") { (7_504, 6_080 + 5 * 65_536) } else { (7_152, 5_936 + 4 * 65_536) };
        let fresh = PerKind { inflater: Z_STREAM + inflate, deflater: Z_STREAM + deflate };
        Native {
            zlib: zlib.into(),
            measured: false,
            each: PerKind { inflater: fresh.inflater + WINDOW, ..fresh },
            fresh,
        }
    }

    /// Bytes that so many streams of a kind hold.
    pub fn bytes(&self, kind: Kind, streams: u64) -> u64 {
        streams.saturating_mul(*self.each.get(kind))
    }

    /// What stands in front of a number of bytes: nothing where they were measured.
    pub fn about(&self) -> &'static str {
        if self.measured { "" } else { "≈" }
    }
}

impl Default for Native {
    fn default() -> Native {
        Native::estimate("")
    }
}
