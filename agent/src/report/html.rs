//! One page for a browser.

use super::Report;

pub(super) fn render(_report: &Report) -> Vec<u8> {
    Vec::new()
}
