//! What a fixture should come to: the counts that its first comment states, and how they are
//! compared with a report.
//!
//! Invariant: a stated expectation adds up (`created = ended + late + collected + live`) before
//! anything is run.

use crate::Result;
use crate::report::{Counts, Kind};
use std::fmt;

/// A stated count. The counts of a program that is cut off in the middle of its work cannot be
/// stated exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// This many, to the unit.
    Exactly(u64),
    /// At least one.
    Some,
    /// Any number; the report's own sums must still be right.
    Any,
}

impl Count {
    fn parse(word: &str) -> Result<Self> {
        match word {
            "some" => Ok(Self::Some),
            "any" => Ok(Self::Any),
            number => number
                .replace('_', "")
                .parse()
                .map(Self::Exactly)
                .map_err(|_| format!("{number:?} is neither a number nor `some` nor `any`")),
        }
    }

    fn admits(self, actual: u64) -> bool {
        match self {
            Self::Exactly(count) => actual == count,
            Self::Some => actual > 0,
            Self::Any => true,
        }
    }

    fn exact(self) -> Option<u64> {
        match self {
            Self::Exactly(count) => Some(count),
            Self::Some | Self::Any => None,
        }
    }

    /// The count of two fates that became one.
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exactly(a), Self::Exactly(b)) => Self::Exactly(a + b),
            (Self::Exactly(0), x) | (x, Self::Exactly(0)) => x,
            (Self::Any, Self::Any) => Self::Any,
            _ => Self::Some,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count}"),
            Self::Some => write!(f, "some"),
            Self::Any => write!(f, "any"),
        }
    }
}

/// The counts of a kind, in the order in which they are printed.
const FIELDS: [&str; 7] =
    ["created", "ended", "late", "collected", "live", "expected", "ended_with_file"];
const LATE: usize = 2;
const COLLECTED: usize = 3;
const LIVE: usize = 4;

/// One kind's stated counts, in the order of [`FIELDS`].
type Stated = [Count; FIELDS.len()];

/// What each kind should come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    inflater: Stated,
    deflater: Stated,
    zip_entry: Stated,
}

impl Expectation {
    /// `inflater created 3, late 3; deflater created 1, ended 1`, or `nothing`. What is not named
    /// is 0.
    pub fn parse(text: &str) -> Result<Self> {
        let none = [Count::Exactly(0); FIELDS.len()];
        let mut expectation = Self { inflater: none, deflater: none, zip_entry: none };
        if text == "nothing" {
            return Ok(expectation);
        }
        for part in text.split(';').map(str::trim) {
            let (kind, counts) =
                part.split_once(' ').ok_or_else(|| format!("{part:?} states no counts"))?;
            let stated = match kind {
                "inflater" => &mut expectation.inflater,
                "deflater" => &mut expectation.deflater,
                "zip_entry" => &mut expectation.zip_entry,
                other => {
                    return Err(format!(
                        "{other:?} is none of `inflater`, `deflater` and `zip_entry`"
                    ));
                }
            };
            for pair in counts.split(',').map(str::trim) {
                let (field, count) =
                    pair.split_once(' ').ok_or_else(|| format!("{pair:?} is no count"))?;
                let slot = FIELDS
                    .iter()
                    .position(|name| *name == field)
                    .ok_or_else(|| format!("{field:?} is none of {FIELDS:?}"))?;
                stated[slot] = Count::parse(count.trim())?;
            }
            is_balanced(stated).map_err(|why| format!("{kind}: {why}"))?;
        }
        Ok(expectation)
    }

    /// What becomes of it under a collector that never collects: nothing is ever `late` or
    /// `collected`.
    #[must_use]
    pub fn without_gc(&self) -> Self {
        let fold = |stated: Stated| {
            let mut folded = stated;
            folded[LIVE] = stated[LIVE].plus(stated[LATE]).plus(stated[COLLECTED]);
            folded[LATE] = Count::Exactly(0);
            folded[COLLECTED] = Count::Exactly(0);
            folded
        };
        Self {
            inflater: fold(self.inflater),
            deflater: fold(self.deflater),
            zip_entry: fold(self.zip_entry),
        }
    }

    /// Every count of `kind` that is not as stated, in words; empty when all are.
    #[must_use]
    pub fn differences(&self, kind: Kind, actual: &Counts) -> Vec<String> {
        let stated = match kind {
            Kind::Inflater => self.inflater,
            Kind::Deflater => self.deflater,
            Kind::ZipEntry => self.zip_entry,
        };
        let counted = [
            actual.created,
            actual.ended,
            actual.late,
            actual.collected,
            actual.live,
            actual.expected,
            actual.ended_with_file,
        ];
        (0..FIELDS.len())
            .filter(|&slot| !stated[slot].admits(counted[slot]))
            .map(|slot| {
                format!(
                    "{kind} {}: {} expected, {} counted",
                    FIELDS[slot], stated[slot], counted[slot]
                )
            })
            .collect()
    }
}

fn is_balanced(stated: &Stated) -> Result<()> {
    let exact: Option<Vec<u64>> = stated.iter().map(|count| count.exact()).collect();
    let Some(exact) = exact else { return Ok(()) };
    let fates: u64 = exact[1..=LIVE].iter().sum();
    let leaks: u64 = exact[LATE..=LIVE].iter().sum();
    if exact[0] != fates {
        Err(format!("created {} is not ended + late + collected + live = {fates}", exact[0]))
    } else if exact[5] > leaks {
        Err(format!("expected {} is more than late + collected + live = {leaks}", exact[5]))
    } else if exact[6] > exact[1] {
        Err(format!("ended_with_file {} is more than ended = {}", exact[6], exact[1]))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(created: u64, ended: u64, late: u64, collected: u64, live: u64) -> Counts {
        Counts { created, ended, late, collected, live, ..Counts::default() }
    }

    #[test]
    fn stated_and_counted() {
        let stated = Expectation::parse(
            "inflater created 1_000, ended 998, collected 2; deflater created 1, ended 1",
        );
        let stated = stated.expect("adds up");
        assert!(stated.differences(Kind::Inflater, &counts(1000, 998, 0, 2, 0)).is_empty());
        assert!(stated.differences(Kind::Deflater, &counts(1, 1, 0, 0, 0)).is_empty());
        assert_eq!(stated.differences(Kind::Inflater, &counts(1000, 998, 1, 1, 0)).len(), 2);
        assert!(
            stated.without_gc().differences(Kind::Inflater, &counts(1000, 998, 0, 0, 2)).is_empty()
        );
    }

    #[test]
    fn words() {
        let stated =
            Expectation::parse("inflater created some, ended any, live any, collected any")
                .expect("fine");
        assert!(stated.differences(Kind::Inflater, &counts(7, 0, 0, 7, 0)).is_empty());
        assert_eq!(stated.differences(Kind::Inflater, &counts(0, 0, 0, 0, 0)).len(), 1);
        assert_eq!(
            stated.without_gc().differences(Kind::Inflater, &counts(7, 0, 0, 7, 0)).len(),
            1
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "inflater created 3",
            "inflater created 3, collected 2",
            "inflater created 3, lost 3",
            "inflater created 3, ended 3, expected 1",
            "inflater created three",
            "adler created 1, ended 1",
            "inflater",
            "",
        ] {
            assert!(Expectation::parse(text).is_err(), "{text:?} was taken");
        }
        assert!(Expectation::parse("nothing").is_ok());
    }
}
