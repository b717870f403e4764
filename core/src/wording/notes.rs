//! The part below the findings: totals, rules, health.

use super::{count, grouped, is, times, was};
use crate::model::Outcome;

/// The headings of the columns whose sum is the number created: `= ended`, `+ late`, ….
pub fn terms() -> [String; Outcome::ALL.len()] {
    Outcome::ALL.map(|outcome| {
        let sign = if outcome == Outcome::ALL[0] { '=' } else { '+' };
        format!("{sign} {}", outcome.name())
    })
}

/// Under the heading `EXPECTED`.
pub const EXPECTED: &str = "not ended, but covered by a rule";

/// Live instances that a rule covers: their number, what they hold, the line that created most of
/// them, and the trend of their number.
pub fn where_expected(
    live: u64,
    held: &str,
    (most, line): (u64, &str),
    trend: Option<&str>,
) -> String {
    let from = match most {
        most if most == live => format!("from {line}"),
        _ => format!("{} of them from {line}", grouped(most)),
    };
    let trend = trend.map(|trend| format!("; {trend}")).unwrap_or_default();
    format!("{} live, holding {held}, {from}{trend}", grouped(live))
}

/// A rule whose `max=N` does not suffice.
pub fn over_maximum(found: &str, max: &str) -> String {
    format!("over its maximum: {found} found, {max} allowed")
}

/// `rules` are their texts, as far as they are listed; `more` is how many are not.
pub fn unused_rules(number: usize, rules: &str, more: usize) -> String {
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("RULES not used: {}: {rules}{more}", count(number, "rule"))
}

/// Clean sites.
pub fn clean_sites(number: usize) -> String {
    format!("{} {} clean", count(number, "more site"), is(number as u64))
}

/// Live instances that the option `min_age` spares.
pub fn too_young(number: u64) -> String {
    let instances = count(usize::try_from(number).unwrap_or(usize::MAX), "live instance");
    let suspects = if number == 1 { "a suspect" } else { "suspects" };
    format!("{instances} {} too young to be {suspects} (min_age)", is(number))
}

/// What the baseline has already.
pub fn as_in_baseline(number: u64, file: &str) -> String {
    let instances = count(usize::try_from(number).unwrap_or(usize::MAX), "instance");
    format!("{instances} not ended, as in the baseline {file}")
}

/// Double ends, and the line that most of them come from.
pub fn double_ends(number: u64, most: Option<(u64, &str)>) -> String {
    let calls = count(usize::try_from(number).unwrap_or(usize::MAX), "redundant call");
    let from = match most {
        Some((of, line)) if of == number && number > 1 => format!(", all from {line}"),
        Some((of, line)) if of == number => format!(", from {line}"),
        Some((of, line)) => format!(", {} of them from {line}", grouped(of)),
        None => String::new(),
    };
    format!("{calls} of end() (harmless){from}")
}

/// Ended by another thread.
pub fn ended_by_other_thread(number: u64) -> String {
    let whose = if number == 1 { "its" } else { "their" };
    format!("{} ended by a thread other than {whose} creator", grouped(number))
}

/// Entry streams that were ended when their `ZipFile` was closed.
pub fn ended_with_file(number: u64) -> String {
    let streams = if number == 1 { "entry stream was" } else { "entry streams were" };
    format!("{} {streams} left open until the ZipFile was closed", grouped(number))
}

/// Ended without a record: created before the audit and not adopted, or missed for a reason that
/// the agent does not know.
pub fn ended_unknown(number: u64) -> String {
    let whose = if number == 1 { "its" } else { "their" };
    format!("{} ended, but the audit did not see {whose} creation", grouped(number))
}

/// Under the heading `ADOPTED`.
pub const ADOPTED: &str = "already open when the audit began, so their stacks are not known; late and \
                           collected are leaks, live is a pool or a leak";

/// Under the heading `HEALTH`.
pub const INCOMPLETE: &str = "not everything was seen, so the counts above may be too low";
/// The same if it was.
pub const COMPLETE: &str = "everything was seen: every count is exact";

/// A hook that is missing, with its reason.
pub fn not_hooked(hook: &str) -> String {
    format!("not hooked: {hook}")
}

/// Events that are in no count.
pub fn not_counted(number: u64, reason: &str) -> String {
    let events = count(usize::try_from(number).unwrap_or(usize::MAX), "event");
    format!("{events} not counted: {reason}")
}

/// What could not be read.
pub fn unreadable(number: u64, reason: &str) -> String {
    format!("{reason} ({})", times(number))
}

/// Stacks beyond the memory for them.
pub fn overflowed(number: u64) -> String {
    let stacks = count(usize::try_from(number).unwrap_or(usize::MAX), "new stack");
    format!("{stacks} not recorded: the memory for stacks was used up (option memory)")
}

/// A sum that is off.
pub fn unbalanced(sites: u64) -> String {
    let sites = count(usize::try_from(sites).unwrap_or(usize::MAX), "site");
    format!(
        "created = ended + late + collected + live does not hold at {sites}: this is a bug in \
         zaudit, please report it"
    )
}

/// The agent's own walk of stacks failed a check.
pub fn walk_failed(reason: &str) -> String {
    format!(
        "the stack walk failed a check and is off: {reason}; some stacks may be wrong: this is a \
         bug in zaudit, please report it"
    )
}

/// The part of that walk that is about frozen frames failed a check.
pub fn frozen_walk_failed(reason: &str) -> String {
    format!(
        "the walk of frozen frames failed a check and is off: {reason}; some stacks of virtual \
         threads may be wrong: this is a bug in zaudit, please report it"
    )
}

/// Stacks that are deeper than the option `depth`.
pub fn truncated(sites: u64) -> String {
    let stacks = count(usize::try_from(sites).unwrap_or(usize::MAX), "stack");
    format!(
        "{stacks} {} truncated at the outer end (option depth); the counts are exact",
        was(sites)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many() {
        assert_eq!(
            double_ends(1, Some((1, "a.B.c:7"))),
            "1 redundant call of end() (harmless), from a.B.c:7"
        );
        assert_eq!(
            double_ends(12, Some((12, "a.B.c:7"))),
            "12 redundant calls of end() (harmless), all from a.B.c:7"
        );
        assert_eq!(
            double_ends(1_200, Some((5, "a.B.c:7"))),
            "1,200 redundant calls of end() (harmless), 5 of them from a.B.c:7"
        );
        assert_eq!(too_young(1), "1 live instance is too young to be a suspect (min_age)");
        assert_eq!(too_young(2), "2 live instances are too young to be suspects (min_age)");
        assert_eq!(ended_by_other_thread(1), "1 ended by a thread other than its creator");
        assert_eq!(clean_sites(1), "1 more site is clean");
        assert_eq!(clean_sites(2), "2 more sites are clean");
        assert_eq!(unreadable(1, "no name"), "no name (once)");
    }
}
