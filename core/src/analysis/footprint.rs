//! The footprint: native bytes that one open instance holds outside the Java heap.
//!
//! Holds numbers, and a table for processes in which they cannot be measured; measures nothing
//! itself. Invariant: an estimate is never shown as a measurement.

use crate::model::{Kind, PerKind};
use crate::wording::APPROX;

/// Native bytes of one open instance of each kind, and where the numbers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Version of the zlib that the process has loaded, as zlib reports it; empty if unknown.
    pub zlib: String,
    /// Whether the bytes were measured on that zlib; else they come from a table.
    pub measured: bool,
    /// Bytes of an instance that has not been used yet.
    pub fresh: PerKind<u64>,
    /// Bytes of an instance in use, its window included.
    pub each: PerKind<u64>,
}

/// `z_stream` on a 64-bit machine.
const Z_STREAM: u64 = 112;

impl Footprint {
    /// From the table, for this version of zlib. The JDK always uses the same window size and
    /// memory level, so builds of one version differ by a few per cent only.
    pub fn estimate(zlib: &str) -> Footprint {
        let (fresh, used) = if zlib.contains("ng") {
            // zlib-ng 2.2 and later: one allocation for everything, the window included.
            let fresh = Footprint::of_classes(Z_STREAM + 42_112, Z_STREAM + 350_336);
            (fresh, fresh)
        } else {
            // zlib 1.2 to 1.3: `inflate_state`, and the window with the first output;
            // `deflate_state` with window, `prev`, `head` and pending buffer of 64 KiB each.
            let (inflater, deflater) = (Z_STREAM + 7_152, Z_STREAM + 5_936 + 4 * 65_536);
            let used = Footprint::of_classes(inflater + 32_768, deflater);
            (Footprint::of_classes(inflater, deflater), used)
        };
        Footprint { zlib: zlib.into(), measured: false, fresh, each: used }
    }

    /// The bytes of each kind: an entry stream has those of its Inflater.
    pub fn of_classes(inflater: u64, deflater: u64) -> PerKind<u64> {
        PerKind { inflater, deflater, zip_entry: inflater }
    }

    /// Bytes that this many instances of a kind hold.
    pub fn bytes(&self, kind: Kind, instances: u64) -> u64 {
        instances.saturating_mul(*self.each.get(kind))
    }

    /// What stands before a number of bytes: nothing if they were measured.
    pub fn approx_prefix(&self) -> &'static str {
        if self.measured { "" } else { APPROX }
    }
}

impl Default for Footprint {
    fn default() -> Footprint {
        Footprint::estimate("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_never_shown_as_a_measurement() {
        for zlib in ["", "1.2.13", "1.3.1.zlib-ng"] {
            let estimate = Footprint::estimate(zlib);
            assert_eq!((estimate.approx_prefix(), estimate.measured), ("≈", false), "{zlib}");
        }
        assert_eq!(Footprint { measured: true, ..Footprint::default() }.approx_prefix(), "");
        assert_eq!(Footprint::default().bytes(Kind::Inflater, 10), 400_320);
        assert_eq!(Footprint::estimate("1.3.1.zlib-ng").bytes(Kind::Deflater, 1), 350_448);
    }
}
