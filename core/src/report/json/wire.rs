//! The fields of the JSON report, in the order in which they are written.
//!
//! Owns names and types; [`super::write`] and [`mod@super::read`] fill and check them. Invariant:
//! fields are added, never renamed, and a field that was added later is not required to read a
//! report. `docs/report.schema.json` has the same fields.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The first field of every report.
pub(super) const SCHEMA: &str = "zaudit-report/1";

/// What there may be much of has types of its own: lists that are read whole, and written one
/// element after the other.
#[derive(Deserialize, Serialize)]
pub(super) struct Root<'a, Sites, Frames, Stacks> {
    pub(super) schema: Cow<'a, str>,
    pub(super) tool: Tool<'a>,
    pub(super) process: Process<'a>,
    pub(super) totals: Totals,
    pub(super) baseline: Option<Baseline<'a>>,
    pub(super) native: Option<Footprint<'a>>,
    pub(super) retention_pause_seconds: Option<f64>,
    pub(super) sites: Sites,
    #[serde(default)]
    pub(super) other_sites: OtherSites,
    #[serde(default)]
    pub(super) frame_table: Frames,
    #[serde(default)]
    pub(super) stack_table: Stacks,
    #[serde(default)]
    pub(super) ended_again: Vec<DoubleEnd<'a>>,
    pub(super) rules: Vec<Rule<'a>>,
    pub(super) health: Health<'a>,
}

/// A report as it is read.
pub(super) type Read<'a> =
    Root<'a, Vec<Site<'a>>, Vec<Frame<'a>>, StackTable<Vec<u32>, Vec<Option<u32>>>>;

#[derive(Deserialize, Serialize)]
pub(super) struct Tool<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Process<'a> {
    pub(super) pid: u32,
    pub(super) jvm: Cow<'a, str>,
    pub(super) command: Cow<'a, str>,
    #[serde(default)]
    pub(super) options: Cow<'a, str>,
    pub(super) started: f64,
    pub(super) taken: f64,
    pub(super) armed_seconds: f64,
    pub(super) from_start: bool,
    pub(super) trigger: Cow<'a, str>,
    pub(super) number: Option<u32>,
    pub(super) rss_bytes: Option<u64>,
    #[serde(default = "one")]
    pub(super) reports: u32,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize, Serialize)]
pub(super) struct Footprint<'a> {
    pub(super) zlib: Cow<'a, str>,
    pub(super) measured: bool,
    pub(super) inflater: Bytes,
    pub(super) deflater: Bytes,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Bytes {
    pub(super) fresh: u64,
    #[serde(skip_deserializing)]
    pub(super) used: u64,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Totals {
    pub(super) inflater: Kind,
    pub(super) deflater: Kind,
    #[serde(default)]
    pub(super) zip_entry: Kind,
    pub(super) adopted: Adopted,
}

#[derive(Default, Deserialize, Serialize)]
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) ended: u64,
    pub(super) late: u64,
    pub(super) collected: u64,
    pub(super) live: u64,
    pub(super) expected: u64,
    pub(super) ended_by_other_thread: u64,
    #[serde(default)]
    pub(super) ended_with_file: u64,
}

#[derive(Default, Deserialize, Serialize)]
pub(super) struct Kind {
    #[serde(flatten)]
    pub(super) counts: Counts,
    pub(super) ended_again: u64,
    pub(super) ended_unknown: u64,
    pub(super) bytes_each: u64,
    #[serde(skip_deserializing)]
    pub(super) bytes_held: u64,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Adopted {
    #[serde(flatten, skip_deserializing)]
    pub(super) sum: AdoptedCounts,
    pub(super) inflater: AdoptedKind,
    pub(super) deflater: AdoptedKind,
    #[serde(default)]
    pub(super) zip_entry: AdoptedKind,
}

#[derive(Default, Deserialize, Serialize)]
pub(super) struct AdoptedKind {
    #[serde(flatten)]
    pub(super) counts: AdoptedCounts,
    pub(super) oldest_live_seconds: Option<f64>,
    pub(super) youngest_live_seconds: Option<f64>,
    #[serde(skip_deserializing)]
    pub(super) tendency: Option<&'static str>,
    pub(super) trend: Vec<Point>,
}

#[derive(Default, Deserialize, Serialize)]
pub(super) struct AdoptedCounts {
    pub(super) found: u64,
    pub(super) ended: u64,
    pub(super) late: u64,
    pub(super) collected: u64,
    pub(super) live: u64,
    #[serde(skip_deserializing)]
    pub(super) bytes_held: u64,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Point {
    pub(super) seconds: f64,
    pub(super) live: u64,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Baseline<'a> {
    pub(super) file: Cow<'a, str>,
    pub(super) taken: f64,
    pub(super) sites: u64,
    pub(super) known: u64,
}

#[derive(Default, Deserialize, Serialize)]
pub(super) struct Known {
    pub(super) leaked: u64,
    pub(super) suspects: u64,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Site<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) kind: Cow<'a, str>,
    pub(super) class: Option<Cow<'a, str>>,
    #[serde(skip_deserializing)]
    pub(super) severity: &'static str,
    #[serde(skip_deserializing)]
    pub(super) summary: String,
    #[serde(skip_deserializing)]
    pub(super) hint: Option<String>,
    #[serde(skip_deserializing)]
    pub(super) hint_id: Option<&'static str>,
    #[serde(flatten)]
    pub(super) counts: Counts,
    pub(super) leaked: Option<u64>,
    pub(super) suspects: Option<u64>,
    #[serde(default)]
    pub(super) known: Known,
    #[serde(skip_deserializing)]
    pub(super) bytes_held: u64,
    #[serde(default)]
    pub(super) lateness_seconds: f64,
    #[serde(skip_deserializing)]
    pub(super) lateness_byte_seconds: f64,
    pub(super) oldest_live_seconds: Option<f64>,
    pub(super) youngest_live_seconds: Option<f64>,
    pub(super) young: u64,
    #[serde(skip_deserializing)]
    pub(super) tendency: Option<&'static str>,
    pub(super) trend: Vec<Point>,
    pub(super) threads: Vec<Cow<'a, str>>,
    pub(super) rule: Option<Cow<'a, str>>,
    pub(super) truncated: bool,
    pub(super) frames: Vec<Frame<'a>>,
    #[serde(default)]
    pub(super) stack: Option<u32>,
    #[serde(default)]
    pub(super) retention: Vec<Retained<'a>>,
}

/// The clean sites that are not listed.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct OtherSites {
    pub(super) inflater: Option<Others>,
    pub(super) deflater: Option<Others>,
    #[serde(default)]
    pub(super) zip_entry: Option<Others>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Others {
    pub(super) sites: u64,
    pub(super) truncated_sites: u64,
    #[serde(flatten)]
    pub(super) counts: Counts,
    #[serde(skip_deserializing)]
    pub(super) bytes_held: u64,
    pub(super) lateness_seconds: f64,
    #[serde(skip_deserializing)]
    pub(super) lateness_byte_seconds: f64,
    pub(super) young: u64,
}

/// Stacks by their nodes: of each its frame in the frame table, and the node of its caller, which
/// stands before it.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct StackTable<Frames, Callers> {
    pub(super) frame: Frames,
    pub(super) caller: Callers,
}

/// What retains a live instance: a path from a root, nothing, or what is unknown.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Retained<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) root: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<Vec<Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unreachable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Frame<'a> {
    pub(super) class: Cow<'a, str>,
    pub(super) method: Cow<'a, str>,
    pub(super) file: Option<Cow<'a, str>>,
    pub(super) line: Option<u32>,
    pub(super) jdk: Option<bool>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct DoubleEnd<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) times: u64,
    pub(super) frame: Frame<'a>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Rule<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) built_in: bool,
    #[serde(default)]
    pub(super) source: Cow<'a, str>,
    pub(super) matched: u64,
    pub(super) max: Option<u64>,
    #[serde(default)]
    pub(super) excess: u64,
    #[serde(skip_deserializing)]
    pub(super) over: bool,
}

/// What a count is of.
pub(super) type Reasons = BTreeMap<Cow<'static, str>, u64>;

#[derive(Deserialize, Serialize)]
pub(super) struct Health<'a> {
    #[serde(skip_deserializing)]
    pub(super) ok: bool,
    pub(super) missing_hooks: Cow<'a, BTreeSet<String>>,
    pub(super) dropped: Cow<'a, Reasons>,
    pub(super) unreadable: Cow<'a, Reasons>,
    pub(super) unsettled: Option<Cow<'a, str>>,
    pub(super) sums_off: u64,
    pub(super) overflowed_stacks: u64,
    pub(super) truncated_sites: u64,
    #[serde(skip_deserializing)]
    pub(super) sites_left_out: u64,
    #[serde(default)]
    pub(super) walk: Walk<'a>,
}

#[derive(Default, Deserialize, Serialize)]
pub(super) struct Walk<'a> {
    pub(super) state: Cow<'a, str>,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) stacks: u64,
    pub(super) fallbacks: Cow<'a, Reasons>,
    pub(super) compared: u64,
    pub(super) mismatches: u64,
    #[serde(default)]
    pub(super) frozen: FrozenWalk<'a>,
}

#[derive(Default, Deserialize, Serialize)]
pub(super) struct FrozenWalk<'a> {
    pub(super) state: Cow<'a, str>,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) stacks: u64,
    pub(super) compared: u64,
    pub(super) mismatches: u64,
}
