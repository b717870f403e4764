//! How a number changes over time: what distinguishes a pool from a leak.
//!
//! Pure functions of points in time. Invariant: growth is reported only if it is clear; a pool that
//! was filled once and then stays is flat, however it was filled.

use crate::model::Nanos;
use std::time::Duration;

/// A shorter series has no trend: at the start a program creates everything at once.
const LEAST_SPAN: Duration = Duration::from_secs(1);
/// Three numbers go up by chance too often.
const LEAST_POINTS: usize = 4;
/// The later half of a run is looked at by itself, and chance gets a second try: it takes more
/// points.
const LEAST_POINTS_LATELY: usize = 8;
/// A part of the time that makes a plateau: a third.
const PLATEAU: u32 = 3;
/// What a plateau may differ from its end, as a part of it: 5 %.
const RIPPLE: u64 = 20;

/// The number of live instances over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// In the order of time; never empty.
    pub points: Vec<Point>,
}

/// One snapshot's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Time of the snapshot.
    pub at: Nanos,
    /// Live instances.
    pub live: u64,
}

/// How the number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It grows until the end: a leak, or a rising load.
    Grew,
    /// The same in the later half of the run, to a number that was never reached before.
    GrewLately,
    /// It goes down.
    Fell,
    /// It stays where it is: a pool that is full.
    Flat,
    /// The same, within 5 %.
    FlatAbout,
    /// Up and down.
    Varied,
    /// Too few snapshots for any of these.
    Unclear,
}

impl Direction {
    /// The word that machine-readable reports use.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Grew | Direction::GrewLately => "grew",
            Direction::Fell => "fell",
            Direction::Flat | Direction::FlatAbout => "flat",
            Direction::Varied => "varied",
            Direction::Unclear => "unclear",
        }
    }
}

/// A direction with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trend {
    /// How the number changes.
    pub way: Direction,
    /// The number at the beginning; the least one where it varied.
    pub from: u64,
    /// The number at the end; the most where it varied.
    pub to: u64,
    /// The time that this describes.
    pub over: Duration,
}

impl Series {
    /// The trend; none if the series is too short.
    pub fn tendency(&self) -> Option<Trend> {
        let points = self.points.as_slice();
        let (first, last) = (points.first()?, points.last()?);
        let over = last.at.since(first.at);
        if over < LEAST_SPAN {
            return None;
        }
        let middle = points.partition_point(|point| point.at.since(first.at) < over / 2);
        let (earlier, later) = points.split_at_checked(middle)?;
        let most = |points: &[Point]| points.iter().map(|point| point.live).max().unwrap_or(0);
        let enough = points.len() >= LEAST_POINTS;
        let whole = |way| Some(Trend { way, from: first.live, to: last.live, over });
        if enough && climbs(points, first.live) {
            return whole(Direction::Grew);
        }
        if later.len() >= LEAST_POINTS_LATELY && climbs(later, most(earlier)) {
            let begin = later.first()?;
            let over = last.at.since(begin.at);
            return Some(Trend {
                way: Direction::GrewLately,
                from: begin.live,
                to: last.live,
                over,
            });
        }
        if enough && falls(points) {
            return whole(Direction::Fell);
        }
        let over = plateau(points, last.live / RIPPLE);
        if over >= last.at.since(first.at) / PLATEAU {
            let way =
                if plateau(points, 0) == over { Direction::Flat } else { Direction::FlatAbout };
            return Some(Trend { way, from: last.live, to: last.live, over });
        }
        if !enough {
            return whole(Direction::Unclear);
        }
        let least = points.iter().map(|point| point.live).min()?;
        whole(Direction::Varied).map(|varied| Trend { from: least, to: most(points), ..varied })
    }
}

/// Whether a climb is clear. A busy program's numbers go up and down, but between two rushes they
/// come back to the same floor; the floor of a leak rises. So, by the fewest and most live in each
/// quarter of the time: the floor never sinks; the newest one is above all that was seen in the
/// first quarter, and above `before`; it still rose at the end; and no single step makes more than
/// three quarters of it, or it is a pool that was filled.
fn climbs(points: &[Point], before: u64) -> bool {
    let Some([first, second, third, fourth]) = quarters(points) else { return false };
    let rise = |from: Quarter, to: Quarter| to.floor.checked_sub(from.floor);
    let (Some(a), Some(b), Some(c)) =
        (rise(first, second), rise(second, third), rise(third, fourth))
    else {
        return false;
    };
    let over = points
        .last()
        .zip(points.first())
        .map_or(Duration::ZERO, |(last, first)| last.at.since(first.at));
    c > 0
        && fourth.floor > first.ceiling.max(before)
        && a.max(b).max(c) * 4 <= (a + b + c) * 3
        && plateau(points, 0) < over / PLATEAU
}

/// The same for going down, but it need not go on to the end: nothing is wrong with it.
fn falls(points: &[Point]) -> bool {
    let Some([first, second, third, fourth]) = quarters(points) else { return false };
    let floors = [first.floor, second.floor, third.floor, fourth.floor];
    let steps = floors.windows(2).filter(|two| two.first() > two.last()).count();
    floors.is_sorted_by(|a, b| a >= b) && steps > 1 && fourth.ceiling < first.floor
}

/// The fewest and the most live in a quarter of the time.
#[derive(Clone, Copy)]
struct Quarter {
    floor: u64,
    ceiling: u64,
}

/// A quarter without a snapshot is as the last snapshot before it.
fn quarters(points: &[Point]) -> Option<[Quarter; 4]> {
    let (first, last) = (points.first()?, points.last()?);
    let span = last.at.since(first.at).as_nanos().max(1);
    let quarter = |point: &Point| (point.at.since(first.at).as_nanos() * 4 / span).min(3);
    let mut held = first.live;
    Some([0, 1, 2, 3].map(|number| {
        let lives =
            || points.iter().filter(|point| quarter(point) == number).map(|point| point.live);
        let (floor, ceiling) = (lives().min().unwrap_or(held), lives().max().unwrap_or(held));
        held = lives().next_back().unwrap_or(held);
        Quarter { floor, ceiling }
    }))
}

/// Since when the numbers differ from the newest by no more than `ripple`.
fn plateau(points: &[Point], ripple: u64) -> Duration {
    let Some(last) = points.last() else { return Duration::ZERO };
    let begin =
        points.iter().rev().take_while(|point| point.live.abs_diff(last.live) <= ripple).last();
    begin.map_or(Duration::ZERO, |begin| last.at.since(begin.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(lives: &[u64]) -> Series {
        let point =
            |(minute, live): (usize, &u64)| Point { at: minutes(minute as u64), live: *live };
        Series { points: lives.iter().enumerate().map(point).collect() }
    }

    fn minutes(number: u64) -> Nanos {
        Nanos(number * 60_000_000_000)
    }

    /// `Grew 0 40`; of a plateau also how long it is.
    fn described(lives: &[u64]) -> String {
        match trend(lives).tendency() {
            None => "nothing".into(),
            Some(Trend {
                way: way @ (Direction::Flat | Direction::FlatAbout), to, over, ..
            }) => {
                format!("{way:?} {to} {} min", over.as_secs() / 60)
            }
            Some(Trend { way, from, to, .. }) => format!("{way:?} {from} {to}"),
        }
    }

    fn series(points: u64, live: impl Fn(u64) -> u64) -> Vec<u64> {
        (0..points).map(live).collect()
    }

    #[test]
    fn a_pool_is_distinguished_from_a_leak() {
        let rush = |n: u64| [3, 9, 40, 17, 5, 22, 31, 4, 12][(n * 7 % 9) as usize];
        for (case, lives, tendency) in [
            ("nothing", vec![], "nothing"),
            ("one snapshot", vec![16], "nothing"),
            // A pool.
            ("full from the beginning", vec![16; 30], "Flat 16 29 min"),
            ("filled after the first snapshot", [vec![0], vec![16; 29]].concat(), "Flat 16 28 min"),
            ("filled in the middle", [vec![0; 15], vec![16; 15]].concat(), "Flat 16 14 min"),
            ("filled at the end", [vec![0; 25], vec![16; 5]].concat(), "Varied 0 16"),
            ("filled slowly, by half-time", series(30, |n| n.min(15)), "Flat 15 14 min"),
            ("filled slowly, for long", series(30, |n| n.min(19)), "Flat 19 10 min"),
            (
                "one more at the end",
                [vec![0; 8], vec![16; 20], vec![17; 2]].concat(),
                "Varied 0 17",
            ),
            ("two sizes", [vec![8; 10], vec![16; 20]].concat(), "Flat 16 19 min"),
            ("with a ripple", series(30, |n| 1_000 + n * 7 % 13), "FlatAbout 1008 29 min"),
            // A leak.
            ("a climb", series(30, |n| n * 40), "Grew 0 1160"),
            ("a slow one beside a pool", series(30, |n| 1_000 + n), "Grew 1000 1029"),
            (
                "one after the start filled a cache",
                series(30, |n| (n * 300).min(1_500) + n),
                "GrewLately 1515 1529",
            ),
            ("one in a busy program", series(60, |n| n * 4 + rush(n)), "Grew 3 248"),
            (
                "one that began at half-time",
                series(40, |n| n.saturating_sub(20) * 5),
                "GrewLately 0 95",
            ),
            ("a step a day", series(5 * 12, |n| 10 + n / 12 * 10), "Grew 10 50"),
            ("two days of that", series(2 * 12, |n| 10 + n / 12 * 10), "Flat 20 11 min"),
            ("four snapshots", vec![4, 8, 15, 16], "Grew 4 16"),
            // Work.
            ("a busy service", series(40, rush), "Varied 3 40"),
            ("one that wakes", [vec![0; 20], series(20, rush)].concat(), "Varied 0 40"),
            ("a saw", series(48, |n| n % 12), "Varied 0 11"),
            ("a saw with long teeth", series(48, |n| n % 24), "Varied 0 23"),
            ("up and down", vec![3, 9, 16, 9, 3], "Varied 3 16"),
            ("a last leap", vec![5, 5, 5, 900], "Varied 5 900"),
            // The end of it.
            ("a drain", series(40, |n| 40 - n), "Fell 40 1"),
            ("a drain at half-time", series(40, |n| 40 - n.saturating_sub(20)), "Fell 40 21"),
            ("soon drained", vec![40, 20, 3, 3, 3], "Fell 40 3"),
            ("emptied at once", [vec![40; 10], vec![0; 20]].concat(), "Flat 0 19 min"),
            // Too few.
            ("two", vec![16, 1_204], "Unclear 16 1204"),
            ("three", vec![4, 8, 16], "Unclear 4 16"),
            ("two that agree", vec![16, 16], "Flat 16 1 min"),
        ] {
            assert_eq!(described(&lives), tendency, "{case}");
        }
    }

    #[test]
    fn less_than_a_second_tells_nothing() {
        for (millis, tells) in [(999, false), (1_000, true)] {
            let point = |at: u64| Point { at: Nanos(at * 1_000_000), live: 16 };
            assert_eq!(
                Series { points: vec![point(0), point(millis)] }.tendency().is_some(),
                tells
            );
        }
    }

    #[test]
    fn a_burst_of_reports_weighs_no_more_than_its_time() {
        let hourly = |lives: &[u64]| {
            trend(lives).points.into_iter().map(|p| Point { at: Nanos(p.at.0 * 60), ..p })
        };
        let burst = |live| (0..40).map(move |n| Point { at: minutes(600 + n), live });
        let climb: Vec<Point> = hourly(&series(10, |n| n * 2)).chain(burst(20)).collect();
        assert_eq!(Series { points: climb }.tendency().unwrap().way.name(), "grew");
        // Hours without a snapshot are as the last one before.
        let leap: Vec<Point> =
            hourly(&[1, 2, 3, 4]).chain([Point { at: minutes(9_000), live: 900 }]).collect();
        assert_eq!(Series { points: leap }.tendency().unwrap().way.name(), "varied");
    }
}
