//! The number of live instances over time, as a small chart.
//!
//! Invariant: it needs no script, and the sentence beside it says the same.

use super::escape::Plain;
use crate::analysis::history::{Point, Series};
use crate::model::Nanos;
use crate::report::words::tendency;
use crate::wording::{duration, grouped};
use std::fmt::Write as _;
use std::time::Duration;

/// Of the whole picture, and of the curve in it: the labels stand to the left and below.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 112.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 412.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 92.0;

/// Empty if there are too few snapshots for a curve.
pub(super) fn history(trend: Option<&Series>, begun: Nanos) -> String {
    let Some((trend, words)) = trend.and_then(|trend| Some((trend, tendency(trend)?))) else {
        return String::new();
    };
    let (Some(first), Some(last)) = (trend.points.first(), trend.points.last()) else {
        return String::new();
    };
    let most = trend.points.iter().map(|point| point.live).max().unwrap_or(0).max(1);
    let span = last.at.since(first.at).as_secs_f64();
    let finding = |point: &Point| {
        let along = if span > 0.0 { point.at.since(first.at).as_secs_f64() / span } else { 1.0 };
        (LEFT + along * (RIGHT - LEFT), BOTTOM - point.live as f64 / most as f64 * (BOTTOM - TOP))
    };
    let mut curve = String::new();
    for (x, y) in trend.points.iter().map(finding) {
        let _ = write!(curve, "{x:.0},{y:.1} ");
    }
    let curve = curve.trim_end();
    let (_, end) = finding(last);
    let time = |point: &Point| duration(point.at.since(begun));
    let (to, most) = (time(last), grouped(most));
    let at_once = first.at.since(begun) < Duration::from_millis(1);
    let from = if at_once { "at the start".to_owned() } else { format!("after {}", time(first)) };
    let words = Plain(&words);
    let (beside, middle, below) = (LEFT - 8.0, TOP + 4.0, HEIGHT - 5.0);
    format!(
        "<svg class=\"growth\" role=\"img\" aria-label=\"Live over time: {words}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\">\
         <path class=\"axis\" d=\"M{LEFT} {TOP}H{RIGHT}M{LEFT} {BOTTOM}H{RIGHT}\"/>\
         <polygon points=\"{LEFT},{BOTTOM} {curve} {RIGHT},{BOTTOM}\"/><polyline points=\"{curve}\"/>\
         <circle cx=\"{RIGHT}\" cy=\"{end:.1}\" r=\"3\"/>\
         <text x=\"{beside}\" y=\"{middle}\" text-anchor=\"end\">{most}</text>\
         <text x=\"{beside}\" y=\"{BOTTOM}\" text-anchor=\"end\">0</text>\
         <text x=\"{LEFT}\" y=\"{below}\">{from}</text>\
         <text x=\"{RIGHT}\" y=\"{below}\" text-anchor=\"end\">{to}</text></svg>"
    )
}
