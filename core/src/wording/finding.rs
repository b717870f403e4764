//! The sentences about one finding.

use super::{count, duration, grouped, was};
use crate::model::Kind;
use std::time::Duration;

/// How many of the instances were ended, and what the ratio suggests. `lost` tells whether some
/// were late or collected; what is only live may still be ended.
pub fn ratio(kind: Kind, created: u64, ended: u64, lost: bool) -> String {
    let (of, were) = (format!("{} of {}", grouped(ended), grouped(created)), was(created));
    let (done, call) = match kind {
        Kind::Inflater | Kind::Deflater => ("ended", "end()"),
        Kind::ZipEntry => ("closed", "close()"),
    };
    match (created - ended, ended) {
        (0, _) => format!("all {} {were} {done}", grouped(created)),
        _ if !lost => format!("{of} {were} {done} so far"),
        (_, 0) => format!("{of} {were} {done}: nothing called {call}"),
        (rest, ended) if rest * 10 <= ended => {
            format!("{of} {were} {done}: some path did not call {call}")
        }
        _ => format!("{of} {were} {done}: only some paths called {call}"),
    }
}

/// `ratio` is that of one caller of a line, `others` that of all others.
pub fn beside_others(ratio: &str, others: &str) -> String {
    format!("{ratio}; for other callers, {others}")
}

/// Entry streams that were left open until their file was closed.
pub fn ended_with_file(number: u64) -> String {
    format!("{} left open until the ZipFile was closed", grouped(number))
}

/// Of the outcome `collected`.
pub fn collected(number: u64) -> String {
    format!("{} collected, never ended", grouped(number))
}

/// Of the outcome `late`.
pub fn late(number: u64) -> String {
    format!("{} ended late, by a finalizer or Cleaner", grouped(number))
}

/// How long one late or collected instance kept its memory. `each` and `sum` are sizes.
pub fn lateness(each: &str, mean: Duration, sum: &str) -> String {
    format!("each held {each} for {} on average ({sum})", duration(mean))
}

/// What the live ones hold, and how old the oldest and the youngest are, if that is known.
pub fn live(number: u64, held: &str, ages: Option<(Duration, Duration)>) -> String {
    let holding = format!("{} live, holding {held}", grouped(number));
    match ages.map(|(oldest, youngest)| (duration(oldest), duration(youngest))) {
        None => holding,
        Some((oldest, youngest)) if oldest == youngest => {
            format!("{holding}, created {oldest} ago")
        }
        Some((oldest, youngest)) => format!("{holding}, created {oldest} to {youngest} ago"),
    }
}

/// Of the live ones.
pub fn too_young(number: u64) -> String {
    let suspects = if number == 1 { "a suspect" } else { "suspects" };
    format!("{} of them too young to be {suspects} (min_age)", grouped(number))
}

/// What the baseline has already.
pub fn as_in_baseline(number: u64) -> String {
    format!("{} as in the baseline", grouped(number))
}

/// `trend` is one of the sentences below, `looks_like` what it suggests.
pub fn trend(trend: &str, looks_like: Option<&str>) -> String {
    let looks = looks_like.map(|thing| format!(", looks like a {thing}")).unwrap_or_default();
    format!("live instances: {trend}{looks}")
}

/// `lately` is whether this is the later half of the run only.
pub fn grew(from: u64, to: u64, over: Duration, lately: bool) -> String {
    let last = if lately { "the last " } else { "" };
    format!("grew {} → {} over {last}{}", grouped(from), grouped(to), duration(over))
}

/// A number that goes down.
pub fn fell(from: u64, to: u64, over: Duration) -> String {
    format!("fell {} → {} over {}", grouped(from), grouped(to), duration(over))
}

/// A number that stays, exactly or within a few per cent.
pub fn flat(at: u64, over: Duration, exactly: bool) -> String {
    let about = if exactly { "" } else { "about " };
    format!("flat at {about}{} for {}", grouped(at), duration(over))
}

/// A number that goes up and down.
pub fn varied(least: u64, most: u64, over: Duration) -> String {
    format!("between {} and {} over {}", grouped(least), grouped(most), duration(over))
}

/// Too few snapshots for more.
pub fn unclear(from: u64, to: u64, over: Duration, snapshots: usize) -> String {
    let snapshots = count(snapshots, "snapshot");
    format!("{} → {} over {}, in {snapshots}", grouped(from), grouped(to), duration(over))
}

/// A path to a GC root, the root first, with how often a step is repeated.
pub fn held_by<'a>(steps: impl Iterator<Item = (&'a str, usize)>) -> String {
    let step = |(step, times): (&str, usize)| match times {
        1 => step.to_owned(),
        _ => format!("{step} ({times} times)"),
    };
    format!("held by {}", steps.map(step).collect::<Vec<_>>().join(" → "))
}

/// No GC has found it yet.
pub const UNREACHABLE: &str = "unreachable, not yet collected";
/// The JVM refers to it until its `finalize()` has run.
pub const ONLY_FINALIZABLE: &str = "unreachable but for its finalizer, not yet collected";
/// The GC frees it when memory gets scarce.
pub const ONLY_SOFTLY_HELD: &str = "held by a SoftReference only";

/// One retaining path of several.
pub fn of_examined(path: &str, number: usize, examined: usize) -> String {
    format!("{path} ({number} of {examined} examined)")
}

/// Paths that are left out.
pub fn more_paths(number: usize) -> String {
    format!("… {}; format=json lists all", count(number, "more path"))
}

/// Findings that are left out.
pub fn more_findings(number: usize, instances: u64) -> String {
    let instances = count(usize::try_from(instances).unwrap_or(usize::MAX), "instance");
    format!("… and {} with {instances}; format=json lists all", count(number, "more finding"))
}

/// Frames that are left out, or that the agent did not keep.
pub fn more_frames(number: usize, truncated: bool) -> Option<String> {
    match (number, truncated) {
        (0, false) => None,
        (0, true) => Some(format!("… {TRUNCATED}")),
        (_, false) => Some(format!("… {}; format=json lists all", count(number, "more frame"))),
        (_, true) => Some(format!("… {} in format=json; {TRUNCATED}", count(number, "more frame"))),
    }
}

/// The end of a stack that is deeper than the option `depth`. `page.js` has it, too.
pub const TRUNCATED: &str = "truncated at the depth limit, a larger depth= keeps more";

/// Stacks of a finding.
pub fn stacks_in_total(number: usize) -> String {
    format!("… {} in total; format=json lists all", count(number, "stack"))
}

/// Stacks that are left out.
pub fn more_stacks(number: usize) -> String {
    format!("… and {}; format=json lists all", count(number, "more stack"))
}

/// Instead of the callers.
pub const CALLERS_UNKNOWN: &str = "… the process had no memory left to group the callers";

/// Instead of a caller. `page.js` has it, too.
pub const THREAD_START: &str = "the start of the thread";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many() {
        assert_eq!(more_frames(0, false), None);
        assert_eq!(more_frames(1, false).unwrap(), "… 1 more frame; format=json lists all");
        assert_eq!(
            more_findings(1, 2),
            "… and 1 more finding with 2 instances; format=json lists all"
        );
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(
            live(1, "4 KiB", Some((second, second))),
            "1 live, holding 4 KiB, created 1 s ago"
        );
        assert_eq!(
            live(2, "8 KiB", Some((minute, second))),
            "2 live, holding 8 KiB, created 60 s to 1 s ago"
        );
        assert_eq!(live(1, "4 KiB", None), "1 live, holding 4 KiB");
    }
}
