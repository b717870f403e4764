//! The writers of all formats, by round trip.
//!
//! The input describes a session: sites with any names, instances in any state.
//!
//! Properties, of any session:
//! - each format is as that format's readers want it, and no hostile character is in it;
//! - the JSON is read again as a report that renders to the same bytes in any format;
//! - profiles, collapsed stacks and metrics add up to the report's totals.
#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use zaudit_core::analysis::rules::Rule;
use zaudit_fuzz::{formats, recordings};

fuzz_target!(|bytes: &[u8]| {
    let report = recordings::report(&mut Unstructured::new(bytes), Rule::built_in());
    let format = formats::chosen(bytes);
    formats::round_trip(&report, format);
    formats::adds_up(&report, format);
});
