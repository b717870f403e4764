//! The number of live instances in each snapshot of a run.
//!
//! Owns the points; [`Series::tendency`] interprets them. Knows counts and times, neither stacks
//! nor words. Invariant: memory is bounded however long the run is, and the points that are kept
//! are in order and spread over the whole run, the first and the newest among them.

mod trend;

use crate::model::{Kind, Nanos, OutOfMemory, PerKind};
use crate::session::Snapshot;
use std::collections::HashMap;
use std::iter::once;
use std::time::Duration;

pub use trend::{Direction, Point, Series, Trend};

/// Points kept of each site.
const POINTS: usize = 64;

/// The live instances of each site, snapshot by snapshot.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Times of the points: the same for all sites, so that series can be added up.
    taken: Vec<Nanos>,
    /// By stable id. A site that was not there yet had none live. More than fit into 32 bits do not
    /// fit into a machine.
    sites: HashMap<u64, Vec<u32>>,
    adopted: PerKind<Vec<u32>>,
}

impl History {
    /// From a report: the times, and the live instances of each site and of the adopted ones.
    pub fn from_report(
        taken: Vec<Nanos>,
        sites: HashMap<u64, Vec<u32>>,
        adopted: PerKind<Vec<u32>>,
    ) -> History {
        History { taken, sites, adopted }
    }

    /// Takes a snapshot's numbers in. One that is no later than the newest is nothing new.
    pub fn record(&mut self, snapshot: &Snapshot) -> Result<(), OutOfMemory> {
        if self.taken.last().is_some_and(|newest| *newest >= snapshot.taken) {
            return Ok(());
        }
        // All that may fail comes first: every series has as many points as there are moments.
        self.taken.try_reserve(1)?;
        self.all().try_for_each(|series| series.try_reserve(1))?;
        self.sites.try_reserve(snapshot.sites.iter().filter(|seen| seen.tally.live > 0).count())?;
        let before = self.taken.len();
        self.taken.push(snapshot.taken);
        self.all().for_each(|series| series.push(0));
        for seen in snapshot.sites.iter().filter(|seen| seen.tally.live > 0) {
            let series =
                self.sites.entry(seen.site.stable_id).or_insert_with(|| vec![0; before + 1]);
            set_newest(series, seen.tally.live);
        }
        for kind in Kind::ALL {
            set_newest(self.adopted.get_mut(kind), snapshot.adopted.get(kind).live);
        }
        if self.taken.len() > POINTS {
            self.thin();
        }
        Ok(())
    }

    /// Drops the point whose neighbours are nearest to each other. Of snapshots at one interval
    /// that is in the end every second point, then every fourth; a burst of reports on demand does
    /// not displace earlier hours.
    fn thin(&mut self) {
        let gaps = self.taken.windows(3).map(|three| match three {
            [before, _, after] => after.since(*before),
            _ => Duration::MAX,
        });
        let Some((before, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) else { return };
        self.taken.remove(before + 1);
        self.all().for_each(|series| {
            series.remove(before + 1);
        });
        self.sites.retain(|_, series| series.iter().any(|live| *live > 0));
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Vec<u32>> {
        let PerKind { inflater, deflater, zip_entry } = &mut self.adopted;
        self.sites.values_mut().chain([inflater, deflater, zip_entry])
    }

    /// The series of one site; none if no snapshot saw a live instance of it.
    pub fn trend(&self, stable_id: u64) -> Option<Series> {
        self.together(once(stable_id))
    }

    /// The sum over several sites.
    pub fn together(&self, stable_ids: impl Iterator<Item = u64>) -> Option<Series> {
        self.sum(stable_ids.filter_map(|id| self.sites.get(&id)))
    }

    /// The series of all adopted instances of a kind.
    pub fn adopted(&self, kind: Kind) -> Option<Series> {
        self.sum(once(self.adopted.get(kind)))
    }

    fn sum<'a>(&self, all: impl Iterator<Item = &'a Vec<u32>>) -> Option<Series> {
        let mut points: Vec<Point> =
            self.taken.iter().map(|at| Point { at: *at, live: 0 }).collect();
        for series in all {
            points.iter_mut().zip(series).for_each(|(point, live)| point.live += u64::from(*live));
        }
        points.iter().any(|point| point.live > 0).then_some(Series { points })
    }
}

fn set_newest(series: &mut [u32], live: u64) {
    if let Some(newest) = series.last_mut() {
        *newest = u32::try_from(live).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Tally;
    use crate::model::{Frame, Stack, ThreadId};
    use crate::testing::Recording;
    use fastrand::Rng;

    /// A snapshot with these live instances of two sites, and of adopted Deflaters.
    fn snapshot(at: Nanos, lives: [u64; 2], adopted: u64) -> Snapshot {
        let session = Recording::default();
        for class in ["a.First", "a.Second"] {
            let frames = vec![Frame::named(class, "x")];
            let stack = Stack { frames, truncated: false, subclass: None };
            let site = session.learn(Kind::Inflater, stack).unwrap();
            session.record_created(session.id(), site, ThreadId(1), Nanos(0)).unwrap();
        }
        let mut snapshot = session.snapshot(at, Duration::ZERO).unwrap();
        snapshot.sites.iter_mut().zip(lives).for_each(|(site, live)| site.tally.live = live);
        snapshot.adopted.deflater = Tally { live: adopted, ..Tally::default() };
        snapshot
    }

    fn lives(trend: Option<Series>) -> Vec<u64> {
        trend.map(|trend| trend.points.iter().map(|point| point.live).collect()).unwrap_or_default()
    }

    #[test]
    fn sites_and_adopted_ones_have_trends() {
        let mut history = History::default();
        let ids: Vec<u64> =
            snapshot(Nanos(0), [0, 0], 0).sites.iter().map(|seen| seen.site.stable_id).collect();
        for (at, live, adopted) in
            [(1, [0, 0], 9), (2, [5, 0], 9), (3, [7, 2], 4), (3, [8, 8], 8), (4, [0, 3], 0)]
        {
            history.record(&snapshot(Nanos(at), live, adopted)).unwrap();
        }
        assert_eq!(lives(history.trend(ids[0])), [0, 5, 7, 0]);
        assert_eq!(lives(history.trend(ids[1])), [0, 0, 2, 3]);
        assert_eq!(lives(history.together(ids.iter().copied())), [0, 5, 9, 3]);
        assert_eq!(lives(history.adopted(Kind::Deflater)), [9, 9, 4, 0]);
        assert_eq!((history.adopted(Kind::Inflater), history.trend(7)), (None, None));
        // What is no longer in a snapshot (its counts were reset) is no longer live.
        history.record(&Snapshot { taken: Nanos(5), ..Snapshot::default() }).unwrap();
        assert_eq!(lives(history.trend(ids[1])), [0, 0, 2, 3, 0]);
    }

    #[test]
    fn sites_that_never_had_one_live_take_no_memory() {
        let mut history = History::default();
        history.record(&snapshot(Nanos(1), [0, 1], 0)).unwrap();
        assert_eq!(history.sites.len(), 1);
        // Nor does one whose only live instance was seen at a point that is no longer kept.
        let first = snapshot(Nanos(2), [1, 1], 0);
        history.record(&first).unwrap();
        assert_eq!(history.sites.len(), 2);
        (3..500).for_each(|at| history.record(&snapshot(Nanos(at), [0, 1], 0)).unwrap());
        assert_eq!(history.sites.len(), 1);
    }

    #[test]
    fn points_are_bounded_ordered_and_spread_over_the_run() {
        for seed in 0..40 {
            let mut rng = Rng::with_seed(seed);
            let (mut history, mut at) = (History::default(), 10);
            let mut last = snapshot(Nanos(at), [0, 1], 0);
            let id = last.sites[1].site.stable_id;
            let snapshots = rng.u64(2..1_002);
            for number in 0..snapshots {
                // Regular ones, ones at any time, and bursts.
                at += match seed % 3 {
                    0 => 1_000,
                    1 => rng.u64(1..=2_000),
                    _ => [1, 5_000][usize::from(rng.u8(..50) == 0)],
                };
                let live = 1 + number;
                (last.taken, last.sites[1].tally.live) = (Nanos(at), live);
                history.record(&last).unwrap();
                let points = history.trend(id).unwrap().points;
                assert!(
                    points.len() <= POINTS
                        && points.len() as u64 >= (number + 1).min(POINTS as u64 / 2)
                );
                assert_eq!(points.last(), Some(&Point { at: Nanos(at), live }));
                assert_eq!(points[0].live, 1, "the first is kept");
                assert!(points.is_sorted_by(|a, b| a.at < b.at && a.live < b.live));
            }
            let points = history.trend(id).unwrap().points;
            let widest = points.windows(2).map(|two| two[1].at.since(two[0].at)).max().unwrap();
            let whole = Nanos(at).since(points[0].at);
            assert!(
                snapshots < 64 || widest <= whole * 3 / POINTS as u32 || seed % 3 == 2,
                "seed {seed}: {widest:?} of {whole:?}"
            );
        }
    }
}
