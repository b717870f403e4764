//! The reader of baselines, which works in the process that is audited.
//!
//! The input is a JSON report, or describes changes to one.
//!
//! Property, of any bytes: the reader takes what the reader of whole reports takes, with the same
//! meaning; what it refuses, it refuses in a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zaudit_core::report::Report;
use zaudit_fuzz::documents;

fuzz_target!(|bytes: &[u8]| {
    let document = documents::of(bytes);
    let whole = Report::read(&document);
    match (whole, Report::read_baseline(&document[..], "old.json")) {
        (Ok(report), Ok(baseline)) => {
            let expected = report.as_baseline("old.json");
            assert_eq!((baseline.taken, baseline.sites), (expected.taken, expected.sites));
        }
        (Ok(_), Err(why)) => panic!("refused: {why}"),
        (Err(_), Ok(_)) => {}
        (Err(_), Err(why)) => {
            assert!(!why.is_empty() && why.lines().count() == 1 && why.len() < 2_000, "{why:?}");
        }
    }
});
