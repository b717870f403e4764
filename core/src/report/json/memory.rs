//! Footprints and retaining paths: from the report into its JSON, and back.
//!
//! Invariant: an estimate is never read back as a measurement, nor an unknown path as none.

use super::wire;
use crate::analysis::footprint::Footprint;
use crate::analysis::retention::{ReferenceStrength, Retained};
use crate::model::{Kind, PerKind};
use std::borrow::Cow;

/// Largest footprint that a report may have: far more than any zlib needs.
const MOST_BYTES: u64 = 1 << 23;

pub(super) fn native(native: &Footprint) -> wire::Footprint<'_> {
    let bytes = |kind| wire::Bytes { fresh: *native.fresh.get(kind), used: *native.each.get(kind) };
    wire::Footprint {
        zlib: native.zlib.as_str().into(),
        measured: native.measured,
        inflater: bytes(Kind::Inflater),
        deflater: bytes(Kind::Deflater),
    }
}

/// `each` stands in the totals, which are older.
pub(super) fn read_native(
    native: Option<&wire::Footprint<'_>>,
    each: PerKind<u64>,
) -> Result<Footprint, String> {
    let Some(native) = native else {
        return Ok(Footprint { fresh: each, each, ..Footprint::default() });
    };
    let fresh = Footprint::of_classes(native.inflater.fresh, native.deflater.fresh);
    match Kind::ALL.map(|kind| *fresh.get(kind)).into_iter().find(|bytes| *bytes > MOST_BYTES) {
        Some(bytes) => Err(format!("fresh is {bytes}, more than the maximum {MOST_BYTES}")),
        None => {
            Ok(Footprint { zlib: native.zlib.to_string(), measured: native.measured, fresh, each })
        }
    }
}

pub(super) fn held(held: &Retained) -> wire::Retained<'_> {
    let none = wire::Retained::default();
    match held {
        Retained::By { root, path } => wire::Retained {
            root: Some(root.as_str().into()),
            path: Some(path.iter().map(|step| Cow::from(step.as_str())).collect()),
            ..none
        },
        Retained::Nothing(weak) => wire::Retained {
            unreachable: Some(true),
            reference: weak.map(|weak| weak.name().into()),
            ..none
        },
        Retained::Unknown(why) => wire::Retained { unknown: Some(why.as_str().into()), ..none },
    }
}

pub(super) fn read_held(held: wire::Retained<'_>) -> Result<Retained, String> {
    let weak = |name: Cow<'_, str>| {
        let all =
            [ReferenceStrength::Cleared, ReferenceStrength::Finalizer, ReferenceStrength::Soft];
        let known = all.into_iter().find(|weak| weak.name() == name);
        known.ok_or_else(|| format!("unknown reference {name:?}"))
    };
    match held {
        wire::Retained {
            root: Some(root),
            path: Some(path),
            unreachable: None,
            reference: None,
            unknown: None,
        } => {
            Ok(Retained::By { root: root.into(), path: path.into_iter().map(Into::into).collect() })
        }
        wire::Retained {
            root: None,
            path: None,
            unreachable: Some(true),
            reference,
            unknown: None,
        } => Ok(Retained::Nothing(reference.map(weak).transpose()?)),
        wire::Retained {
            root: None,
            path: None,
            unreachable: None,
            reference: None,
            unknown: Some(why),
        } => Ok(Retained::Unknown(why.into())),
        _ => Err("a retention is neither a path nor unreachable nor unknown".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_in_no_known_way_is_an_error() {
        for (json, sound) in [
            (r#"{"root": "a", "path": []}"#, true),
            (r#"{"unreachable": true}"#, true),
            (r#"{"unreachable": true, "reference": "soft"}"#, true),
            (r#"{"unknown": "why", "later": 1}"#, true),
            ("{}", false),
            (r#"{"root": "a"}"#, false),
            (r#"{"unreachable": false}"#, false),
            (r#"{"unreachable": true, "unknown": "why"}"#, false),
            (r#"{"unreachable": true, "reference": "strong"}"#, false),
        ] {
            assert_eq!(read_held(serde_json::from_str(json).unwrap()).is_ok(), sound, "{json}");
        }
    }
}
