//! The clauses of the summary line, and the lines below it.

use super::{bytes, count, duration, is, them, was};
use std::time::Duration;

/// `instances` is a list such as `2 Inflaters and 4 Deflaters`, `number` how many these are.
pub fn leak(instances: &str, number: u64, findings: usize) -> String {
    let from = count(findings, "finding");
    let (was, them) = (was(number), them(number));
    format!(
        "LEAK: {instances} in {from} {was} never ended; only the garbage collector freed {them}"
    )
}

/// Suspects beside leaks.
pub fn suspects(instances: &str, number: u64) -> String {
    let suspects = if number == 1 { "is a suspect" } else { "are suspects" };
    format!("{instances} {suspects} (still live)")
}

/// Suspects where nothing leaked for certain. `held` is a size such as `≈39.1 KiB`.
pub fn only_suspects(
    leaks: Leaks,
    instances: &str,
    number: u64,
    findings: usize,
    held: &str,
) -> String {
    let (new, since) = leaks.words();
    let from = count(findings, "finding");
    let they = match number {
        1 => "is a suspect: it is live and holds",
        _ => "are suspects: they are live and hold",
    };
    format!(
        "no {new}certain leaks{since}, but {instances} in {from} {they} {held} (a pool or a leak)"
    )
}

/// Which leaks a clean summary speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Leaks {
    /// Only those that are not in the baseline.
    pub new: bool,
    /// Only those of instances that were created after the audit began.
    pub since_begin: bool,
}

impl Leaks {
    fn words(self) -> (&'static str, &'static str) {
        let since = if self.since_begin { " since the audit began" } else { "" };
        (if self.new { "new " } else { "" }, since)
    }
}

/// `ended` is a list such as `1,998 of 2,000 Inflaters`; empty if none was created.
pub fn no_leaks(leaks: Leaks, ended: &str) -> String {
    let (new, since) = leaks.words();
    match ended {
        "" => format!("no {new}leaks{since}: no Inflater or Deflater was created"),
        _ => format!("no {new}leaks{since}: {ended} ended"),
    }
}

/// A part of [`no_leaks`].
pub fn expected(number: &str, by_other_rules: bool) -> String {
    let why = if by_other_rules { "covered by rules" } else { "JDK caches" };
    format!(", {number} not ended but expected ({why})")
}

/// A part of [`no_leaks`].
pub fn too_young(number: &str) -> String {
    format!(", {number} too young to be suspects (min_age)")
}

/// What the baseline has already.
pub fn as_in_baseline(number: &str) -> String {
    format!("{number} not ended, as in the baseline")
}

/// Adopted instances that were lost.
pub fn adopted_lost(instances: &str, number: u64) -> String {
    let (was, them) = (was(number), them(number));
    format!(
        "{instances} created before the audit {was} never ended; only the garbage collector freed {them}"
    )
}

/// Adopted instances that are live.
pub fn adopted_live(instances: &str, number: u64, held: &str) -> String {
    let holds = if number == 1 { "holds" } else { "hold" };
    format!("{instances} created before the audit {} still live and {holds} {held}", is(number))
}

/// The last clause, if [`super::notes::INCOMPLETE`] follows below.
pub const SEE_HEALTH: &str = "the counts may be incomplete, see HEALTH";

/// The allocated bytes of live instances, and the resident memory of the process, which need not
/// contain them: zlib allocates pages that it may never touch. `zlib` is empty if its version is
/// not known.
pub fn memory(held: &str, rss: Option<u64>, measured: bool, zlib: &str) -> String {
    let resident = |rss| format!("; the process has {} resident (RSS)", bytes(rss));
    let rss = rss.map(resident).unwrap_or_default();
    let known = if measured { "measured" } else { "estimated" };
    let zlib = if zlib.is_empty() { String::new() } else { format!(" for zlib {zlib}") };
    format!("live instances hold {held} allocated{rss}; footprints are {known}{zlib}")
}

/// The pause that the search for paths took.
pub fn pause(time: Duration) -> String {
    let time = duration(time);
    format!("the application was paused for {time} to find paths to GC roots (option gc_roots)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many() {
        assert_eq!(
            leak("1 Inflater", 1, 1),
            "LEAK: 1 Inflater in 1 finding was never ended; only the garbage collector freed it"
        );
        assert_eq!(
            leak("1 Inflater and 4 Deflaters", 5, 2),
            "LEAK: 1 Inflater and 4 Deflaters in 2 findings were never ended; only the garbage \
             collector freed them"
        );
        assert_eq!(suspects("1 Inflater", 1), "1 Inflater is a suspect (still live)");
        assert_eq!(suspects("2 Inflaters", 2), "2 Inflaters are suspects (still live)");
        assert_eq!(
            memory("4 KiB", None, true, "1.3.1"),
            "live instances hold 4 KiB allocated; footprints are measured for zlib 1.3.1"
        );
    }
}
