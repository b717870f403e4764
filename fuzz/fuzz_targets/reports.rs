//! The JSON reader and everything behind it.
//!
//! The input is a JSON report, or describes changes to one.
//!
//! Properties, of any bytes:
//! - what is not a report is refused in a short line;
//! - a report is written in any format as that format's readers want it, and its JSON is read
//!   again as the same report;
//! - it can be merged with another one and compared with it; the results are reports, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use zaudit_core::options::Format;
use zaudit_core::report::{Report, merge};
use zaudit_fuzz::{documents, formats};

static SAMPLE: LazyLock<Report> =
    LazyLock::new(|| Report::read(documents::SAMPLE).expect("the golden is a report"));

fuzz_target!(|bytes: &[u8]| {
    let report = match Report::read(&documents::of(bytes)) {
        Ok(report) => report,
        Err(why) => {
            assert!(!why.is_empty() && why.lines().count() == 1 && why.len() < 2_000, "{why:?}");
            return;
        }
    };
    let format = formats::chosen(bytes);
    formats::round_trip(&report, format);
    if let Ok(merged) = merge(&[report.clone(), SAMPLE.clone(), report.clone()]) {
        let json = formats::check(&merged, Format::Json);
        Report::read(&json).expect("a merged report is a report");
        formats::check(&merged, format);
    }
    let known = report.as_baseline("old.json");
    formats::round_trip(&SAMPLE.clone().against(&known), format);
    let same = report.against(&known);
    assert!(same.classification.all_stats().all(|stats| stats.leaked + stats.suspects == 0));
});
