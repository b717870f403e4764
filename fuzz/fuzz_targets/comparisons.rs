//! What the command does with reports: comparing them, writing rules for them, and printing what
//! another process gave as its report.
//!
//! The input is a JSON report, or describes changes to one.
//!
//! Properties, of any bytes:
//! - what is printed has no hostile character, and the JSON of a report keeps its meaning;
//! - a report is no worse than itself, and a comparison is JSON where it should be;
//! - the rules for a report are a file of rules without a complaint.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::LazyLock;
use zaudit_cli::testing;
use zaudit_core::analysis::rules::Rule;
use zaudit_core::escape;
use zaudit_core::options::Format;
use zaudit_core::report::Report;
use zaudit_fuzz::{documents, formats};

static SAMPLE: LazyLock<Report> =
    LazyLock::new(|| Report::read(documents::SAMPLE).expect("the golden is a report"));

fuzz_target!(|bytes: &[u8]| {
    let document = documents::of(bytes);
    for (raw, format) in [(bytes, formats::chosen(bytes)), (&document, Format::Json)] {
        if !format.is_text() {
            continue;
        }
        let shown = testing::escaped(raw, format);
        is_shown(std::str::from_utf8(&shown).expect("text is UTF-8"));
    }
    let value = |json: &[u8]| serde_json::from_slice::<Value>(json).ok();
    if let Some(meant) = value(&document) {
        assert_eq!(value(&testing::escaped(&document, Format::Json)), Some(meant));
    }
    let Ok(report) = Report::read(&document) else { return };
    let (_, _, is_worse) = testing::compared(&report, &report);
    assert!(!is_worse);
    for (old, new) in [(&report, &*SAMPLE), (&SAMPLE, &report)] {
        let (text, json, is_worse) = testing::compared(old, new);
        is_shown(&text);
        let json = value(&json).expect("the comparison is JSON");
        assert_eq!(json["worse"], Value::Bool(is_worse));
    }
    let (text, left_out) = testing::rules(&report);
    is_shown(&text);
    left_out.iter().for_each(|line| assert!(!line.is_empty()));
    let (_, complaints) = Rule::read_file("x", &text);
    assert_eq!(complaints, [""; 0], "{text}");
});

fn is_shown(text: &str) {
    let hostile = text.find(|c| escape::is_hostile(c) && c != '\n');
    assert_eq!(hostile.map(|at| &text[at..]), None);
}
