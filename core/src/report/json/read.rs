//! Reads a report from its JSON.
//!
//! Owns what makes a report valid; ignores unknown fields. Invariant: any bytes give an error or a
//! report that every renderer can render: its numbers cannot overflow a sum, and its sums are
//! balanced.

use super::{memory, wire};
use crate::analysis::classify::{Classification, ClassifiedSite, Known, Others, SiteStats, Totals};
use crate::analysis::findings::DoubleEnd;
use crate::analysis::history::History;
use crate::analysis::retention::Retention;
use crate::analysis::rules::Rule;
use crate::files::reason;
use crate::ledger::{Counts, Tally};
use crate::model::{Frame, FrameId, Kind, Nanos, OutOfMemory, PerKind, Trigger};
use crate::report::{Against, FrozenWalk, Health, Process, Report, StackWalk, WalkState};
use crate::session::Gaps;
use crate::stacks::{Index, NodeId, ROOT, Site};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The moment of every snapshot that is read: ages are counted back from it, so those of two
/// reports can be compared.
const NOW: Nanos = Nanos(1 << 63);
/// The longest time: a century or so.
const MOST_SECONDS: f64 = (1_u64 << 32) as f64;
/// The latest date, seconds since 1970: in the year 6000 or so.
const MOST_DATE: f64 = (1_u64 << 37) as f64;
/// The largest count: what a float holds to the unit.
const MOST: u64 = 1 << 53;
/// The most that were not ended, in all, and the bytes of one: their product is still a number.
const MOST_OPEN: u64 = 1 << 40;
const MOST_BYTES: u64 = 1 << 23;

/// What is wrong with it.
pub(super) type Wrong = String;

/// Reads a report.
pub(in crate::report) fn read(bytes: &[u8]) -> Result<Report, Wrong> {
    #[derive(Deserialize)]
    struct Start {
        schema: String,
    }
    let root: wire::Read<'_> = serde_json::from_slice(bytes).map_err(|error| {
        let other = serde_json::from_slice::<Start>(bytes).map(|start| start.schema);
        other.ok().and_then(|schema| checked(&schema).err()).unwrap_or_else(|| failed(error))
    })?;
    checked(&root.schema)?;
    report(root)
}

/// Whether it is of the schema that is read here.
pub(super) fn checked(schema: &str) -> Result<(), Wrong> {
    if schema == wire::SCHEMA {
        return Ok(());
    }
    Err(format!("unsupported schema {schema:?}; this version of zaudit reads {}", wire::SCHEMA))
}

/// Why the parser stopped: the bytes are wrong, or could not be read.
pub(super) fn failed(error: serde_json::Error) -> Wrong {
    if error.is_io() {
        return reason(&error.into());
    }
    format!("not a zaudit JSON report: {error}")
}

fn report(root: wire::Read<'_>) -> Result<Report, Wrong> {
    let wire::Totals { inflater, deflater, zip_entry, adopted } = &root.totals;
    let kinds = PerKind { inflater, deflater, zip_entry };
    let each = each_kind(|kind| at_most(kinds.get(kind).bytes_each, MOST_BYTES, "bytes_each"))?;
    let from_json = |rule: &wire::Rule<'_>| {
        Rule::from_report(&rule.text, rule.built_in, &rule.source, rule.max)
    };
    let rules: Vec<Rule> = root.rules.iter().map(from_json).collect();
    let uses = |of: fn(&wire::Rule<'_>) -> u64, name| {
        root.rules.iter().map(|rule| at_most(of(rule), MOST, name)).collect::<Result<Vec<u64>, _>>()
    };
    let process = process(&root.process)?;
    let health = health(&root.health)?;
    let mut history = Trends::new(process.armed);
    let wire::Adopted { inflater, deflater, zip_entry, .. } = adopted;
    let adopted = PerKind { inflater, deflater, zip_entry };
    let adopted_growth = each_kind(|kind| history.series(&adopted.get(kind).trend))?;
    let adopted = each_kind(|kind| adopted_tally(adopted.get(kind), &health))?;
    let mut stacks = Stacks::new(root.frame_table, root.stack_table)?;
    let mut seen = HashSet::new();
    let mut series = HashMap::new();
    let mut sum = Tally::default();
    let mut sites = Vec::with_capacity(root.sites.len());
    let pause = root
        .retention_pause_seconds
        .map(|pause| in_range(pause, MOST_SECONDS, "retention_pause_seconds"));
    let pause = pause.transpose()?.map(Duration::from_secs_f64);
    let mut retention = Retention { pause, ..Retention::default() };
    for mut site in root.sites {
        let id = site.id.to_string();
        let held: Result<Vec<_>, _> =
            std::mem::take(&mut site.retention).into_iter().map(memory::read_held).collect();
        let held = held.map_err(|wrong| format!("invalid site {id:?}: {wrong}"))?;
        let (classified, live) =
            self::site(site, &each, &rules, &health, &mut stacks, &mut history)
                .map_err(|wrong| format!("invalid site {id:?}: {wrong}"))?;
        if !seen.insert(classified.site.stable_id) {
            return Err(format!("duplicate site {id:?}"));
        }
        sum.add(&classified.stats.tally);
        bounded(&sum)?;
        if !live.is_empty() {
            series.insert(classified.site.stable_id, live);
        }
        if !held.is_empty() {
            retention.streams.insert(classified.site.stable_id, held);
        }
        sites.push(classified);
    }
    let wire::OtherSites { inflater, deflater, zip_entry } = &root.other_sites;
    let others = PerKind { inflater, deflater, zip_entry };
    let others = each_kind(|kind| {
        let listed = others.get(kind).as_ref();
        let others =
            listed.map(|listed| self::others(listed, kind, *each.get(kind), &health)).transpose();
        let others = others.map_err(|wrong| format!("invalid other_sites: {wrong}"))?;
        others.iter().for_each(|others| sum.add(&others.stats.tally));
        bounded(&sum).map(|()| others)
    })?;
    let double_ends: Result<Vec<DoubleEnd>, Wrong> =
        root.ended_again.into_iter().map(double_end).collect();
    let native = memory::read_native(root.native.as_ref(), each)?;
    Ok(Report {
        age_seconds: in_range(root.process.armed_seconds, MOST_SECONDS, "armed_seconds")?,
        retention,
        classification: Classification {
            approx_prefix: native.approx_prefix(),
            sites,
            others,
            totals: each_kind(|kind| totals(&kinds.get(kind).counts))?,
            covered: uses(|rule| rule.matched, "matched")?,
            excess: uses(|rule| rule.excess, "excess")?,
            mismatches: health.sums_off,
        },
        adopted,
        history: Arc::new(History::from_report(history.taken, series, adopted_growth)),
        baseline: root.baseline.as_ref().map(against).transpose()?,
        rules,
        ended_again: each_kind(|kind| at_most(kinds.get(kind).ended_again, MOST, "ended_again"))?,
        double_ends: double_ends?,
        ended_unknown: each_kind(|kind| {
            at_most(kinds.get(kind).ended_unknown, MOST, "ended_unknown")
        })?,
        snapshot_nanos: NOW,
        native,
        process,
        health,
    })
}

fn each_kind<T>(of: impl FnMut(Kind) -> Result<T, Wrong>) -> Result<PerKind<T>, Wrong> {
    let [inflater, deflater, zip_entry] = Kind::ALL.map(of);
    Ok(PerKind { inflater: inflater?, deflater: deflater?, zip_entry: zip_entry? })
}

fn process(process: &wire::Process<'_>) -> Result<Process, Wrong> {
    Ok(Process {
        pid: process.pid,
        jvm: process.jvm.to_string(),
        command: process.command.to_string(),
        options: process.options.to_string(),
        started: date(process.started, "started")?,
        armed: Nanos(NOW.0 - nanos(process.armed_seconds, "armed_seconds")?),
        taken: date(process.taken, "taken")?,
        from_start: process.from_start,
        trigger: Trigger::named(&process.trigger)
            .ok_or_else(|| format!("unknown trigger {:?}", process.trigger))?,
        number: process.number,
        rss_bytes: process.rss_bytes,
        reports: process.reports,
    })
}

fn against(baseline: &wire::Baseline<'_>) -> Result<Against, Wrong> {
    Ok(Against {
        file: baseline.file.to_string(),
        taken: date(baseline.taken, "taken")?,
        sites: baseline.sites,
        known: at_most(baseline.known, MOST, "known")?,
    })
}

fn double_end(double_end: wire::DoubleEnd<'_>) -> Result<DoubleEnd, Wrong> {
    Ok(DoubleEnd {
        kind: kind(&double_end.kind)?,
        times: at_most(double_end.times, MOST, "times")?,
        frame: frame(double_end.frame),
    })
}

pub(super) fn kind(name: &str) -> Result<Kind, Wrong> {
    Kind::named(name).ok_or_else(|| format!("unknown kind {name:?}"))
}

fn frame(frame: wire::Frame<'_>) -> Frame {
    // Older reports do not have the field.
    let jdk = frame.jdk.unwrap_or_else(|| Frame::is_named_as_jdk(&frame.class));
    Frame {
        class: frame.class.into(),
        method: frame.method.into(),
        file: frame.file.map(Into::into),
        line: frame.line,
        jdk,
    }
}

fn health(health: &wire::Health<'_>) -> Result<Health, Wrong> {
    let walk = &health.walk;
    // A report from before there was a walk has none.
    let state = |name: &str| match name {
        "" => Ok(WalkState::Off),
        name => WalkState::named(name).ok_or_else(|| format!("unknown state {name:?} of walk")),
    };
    Ok(Health {
        gaps: Gaps {
            missing_hooks: health.missing_hooks.clone().into_owned(),
            dropped: health.dropped.clone().into_owned(),
            unreadable: health.unreadable.clone().into_owned(),
            unsettled: health.unsettled.as_ref().map(ToString::to_string),
        },
        sums_off: health.sums_off,
        overflowed: health.overflowed_stacks,
        truncated_sites: health.truncated_sites,
        walk: StackWalk {
            state: state(&walk.state)?,
            reason: walk.reason.as_ref().map(ToString::to_string),
            stacks: walk.stacks,
            fallbacks: walk.fallbacks.clone().into_owned(),
            compared: walk.compared,
            mismatches: walk.mismatches,
            frozen: FrozenWalk {
                state: state(&walk.frozen.state)?,
                reason: walk.frozen.reason.as_ref().map(ToString::to_string),
                stacks: walk.frozen.stacks,
                compared: walk.frozen.compared,
                mismatches: walk.frozen.mismatches,
            },
        },
    })
}

fn site(
    site: wire::Site<'_>,
    each: &PerKind<u64>,
    rules: &[Rule],
    health: &Health,
    stacks: &mut Stacks,
    history: &mut Trends,
) -> Result<(ClassifiedSite, Vec<u32>), Wrong> {
    let kind = kind(&site.kind)?;
    let stable_id = id(&site)?;
    let tally = tally(&site, health)?;
    let stats = stats(&site, kind, tally, *each.get(kind))?;
    let rule = match &site.rule {
        None => None,
        Some(text) => {
            let known = rules.iter().position(|rule| rule.text == **text);
            Some(known.ok_or_else(|| format!("rule {text:?} is not in rules"))?)
        }
    };
    let live = history.series(&site.trend)?;
    let node = stacks.node(site.stack, site.frames)?;
    let site = Site::from_report(
        stable_id,
        kind,
        site.class.map(Into::into),
        site.truncated,
        (node, &stacks.index),
        site.threads.into_iter().map(Into::into).collect(),
    );
    Ok((ClassifiedSite { site: Arc::new(site), stats, rule }, live))
}

pub(super) fn id(site: &wire::Site<'_>) -> Result<u64, Wrong> {
    u64::from_str_radix(&site.id, 16).map_err(|_| "the id is not hexadecimal".into())
}

pub(super) fn tally(site: &wire::Site<'_>, health: &Health) -> Result<Tally, Wrong> {
    let tally = Tally {
        young: site.young,
        oldest: made(site.oldest_live_seconds, "oldest_live_seconds")?,
        youngest: made(site.youngest_live_seconds, "youngest_live_seconds")?,
        ..numbers(&site.counts, site.lateness_seconds)?
    };
    sound(&tally, health)?;
    Ok(tally)
}

fn numbers(counts: &wire::Counts, lateness_seconds: f64) -> Result<Tally, Wrong> {
    Ok(Tally {
        counts: Counts {
            created: counts.created,
            ended: counts.ended,
            late: counts.late,
            collected: counts.collected,
            ended_elsewhere: at_most(counts.ended_by_other_thread, MOST, "ended_by_other_thread")?,
            ended_with_file: at_most(counts.ended_with_file, counts.ended, "ended_with_file")?,
            // Among those that are expected.
            lost_lent: 0,
            late_nanos: late_nanos(lateness_seconds)?,
        },
        live: counts.live,
        ..Tally::default()
    })
}

/// The sums of clean sites that are not listed: nothing of them is a leak or a suspect.
fn others(
    listed: &wire::Others,
    kind: Kind,
    bytes_each: u64,
    health: &Health,
) -> Result<Others, Wrong> {
    let counts = &listed.counts;
    let tally = Tally { young: listed.young, ..numbers(counts, listed.lateness_seconds)? };
    sound(&tally, health)?;
    let expected = at_most(
        counts.expected,
        tally.counts.late + tally.counts.collected + tally.live,
        "expected",
    )?;
    // What is neither covered by a rule nor too young is a leak or a suspect, and listed.
    at_most(
        tally.counts.late + tally.counts.collected + tally.live - expected,
        tally.young,
        "late + collected + live - expected",
    )?;
    Ok(Others {
        sites: at_most(listed.sites, MOST, "sites")?,
        truncated: at_most(listed.truncated_sites, listed.sites, "truncated_sites")?,
        stats: SiteStats {
            kind,
            bytes_each,
            tally,
            leaked: 0,
            suspects: 0,
            expected,
            known: Known::default(),
        },
    })
}

/// The stacks of all sites.
struct Stacks {
    index: Index,
    /// The table that clean sites refer to.
    nodes: Vec<NodeId>,
    /// Frames that all stacks together may still have.
    left: usize,
}

impl Stacks {
    /// The most frames of one stack: more than the option `depth` keeps.
    const DEEPEST: usize = 4_096;
    /// The most frames of all stacks together: far more than a report lists.
    const MOST: usize = 1 << 24;

    fn new(
        listed: Vec<wire::Frame<'_>>,
        stacks: wire::StackTable<Vec<u32>, Vec<Option<u32>>>,
    ) -> Result<Stacks, Wrong> {
        let wire::StackTable { frame: of_node, caller } = stacks;
        if of_node.len() != caller.len() {
            return Err("invalid stack_table".into());
        }
        let mut index = Index::default();
        let frames = listed.into_iter().map(|listed| index.frame(frame(listed)));
        let frames = frames.collect::<Result<Vec<FrameId>, _>>().map_err(too_many)?;
        let mut nodes: Vec<NodeId> = Vec::new();
        for (frame, caller) in of_node.into_iter().zip(caller) {
            let frame = frames.get(frame as usize);
            let caller = caller.map_or(Some(&ROOT), |caller| nodes.get(caller as usize));
            let (Some(frame), Some(caller)) = (frame, caller) else {
                return Err("invalid stack_table".into());
            };
            nodes.push(index.node(*caller, *frame).map_err(too_many)?);
        }
        Ok(Stacks { index, nodes, left: Stacks::MOST })
    }

    /// The innermost frame of a site's stack.
    fn node(
        &mut self,
        leaf: Option<u32>,
        innermost_first: Vec<wire::Frame<'_>>,
    ) -> Result<NodeId, Wrong> {
        let node = match leaf {
            Some(leaf) if innermost_first.is_empty() => {
                let node = self.nodes.get(leaf as usize);
                *node.ok_or_else(|| format!("stack {leaf} is not in stack_table"))?
            }
            _ if innermost_first.len() > Stacks::DEEPEST => return Err(too_deep()),
            _ => {
                let mut outermost_first = innermost_first.into_iter().rev();
                let node = outermost_first.try_fold(ROOT, |caller, listed| {
                    let frame = self.index.frame(frame(listed))?;
                    self.index.node(caller, frame)
                });
                node.map_err(too_many)?
            }
        };
        let length = self.index.tree().path(node).len();
        if length > Stacks::DEEPEST {
            return Err(too_deep());
        }
        self.left = self.left.checked_sub(length).ok_or_else(|| too_many(OutOfMemory))?;
        Ok(node)
    }
}

fn too_deep() -> Wrong {
    format!("a stack has more than {} frames", Stacks::DEEPEST)
}

fn too_many(_: OutOfMemory) -> Wrong {
    "the stacks have too many frames in total".into()
}

pub(super) fn stats(
    site: &wire::Site<'_>,
    kind: Kind,
    tally: Tally,
    bytes_each: u64,
) -> Result<SiteStats, Wrong> {
    let freed = tally.counts.late + tally.counts.collected;
    let expected = at_most(site.counts.expected, freed + tally.live, "expected")?;
    // Reports had no such fields at first. What a rule covered is then taken for live ones as far
    // as it can be: no leak is lost.
    let leaked = site.leaked.unwrap_or(freed - expected.saturating_sub(tally.live).min(freed));
    let without_rules = freed + tally.live - expected;
    let suspects = site.suspects.unwrap_or_else(|| {
        without_rules.saturating_sub(leaked).min(tally.live.saturating_sub(tally.young))
    });
    let known = Known { leaked: site.known.leaked, suspects: site.known.suspects };
    at_most(leaked.saturating_add(known.leaked), freed, "leaked")?;
    at_most(suspects.saturating_add(known.suspects), tally.live, "suspects")?;
    at_most(leaked + suspects + known.sum(), without_rules, "leaked + suspects")?;
    Ok(SiteStats { kind, bytes_each, tally, leaked, suspects, expected, known })
}

fn totals(counts: &wire::Counts) -> Result<Totals, Wrong> {
    let number = |number| at_most(number, MOST, "a total");
    Ok(Totals {
        created: number(counts.created)?,
        ended: number(counts.ended)?,
        late: number(counts.late)?,
        collected: number(counts.collected)?,
        live: number(counts.live)?,
        expected: number(counts.expected)?,
        ended_elsewhere: number(counts.ended_by_other_thread)?,
        ended_with_file: number(counts.ended_with_file)?,
    })
}

fn adopted_tally(adopted: &wire::AdoptedKind, health: &Health) -> Result<Tally, Wrong> {
    let counts = &adopted.counts;
    let tally = Tally {
        counts: Counts {
            created: counts.found,
            ended: counts.ended,
            late: counts.late,
            collected: counts.collected,
            ..Counts::default()
        },
        live: counts.live,
        young: 0,
        oldest: made(adopted.oldest_live_seconds, "oldest_live_seconds")?,
        youngest: made(adopted.youngest_live_seconds, "youngest_live_seconds")?,
    };
    sound(&tally, health).map_err(|wrong| format!("invalid adopted: {wrong}"))?;
    Ok(tally)
}

/// Whether the sum is balanced. If the report says that some are not, this may be one of them.
fn sound(tally: &Tally, health: &Health) -> Result<(), Wrong> {
    bounded(tally)?;
    at_most(tally.young, tally.live, "young")?;
    at_most(tally.counts.ended, tally.counts.created, "ended")?;
    if !tally.is_balanced() && health.sums_off == 0 {
        return Err("created is not equal to ended + late + collected + live".into());
    }
    Ok(())
}

fn bounded(tally: &Tally) -> Result<(), Wrong> {
    let counts = &tally.counts;
    for number in [counts.created, counts.ended, counts.ended_elsewhere] {
        at_most(number, MOST, "a count")?;
    }
    for number in [counts.late, counts.collected, tally.live] {
        at_most(number, MOST_OPEN, "a count of late, collected or live")?;
    }
    Ok(())
}

/// The moments of the snapshots, which all sites have in common, and what they say of each.
struct Trends {
    armed: Nanos,
    taken: Vec<Nanos>,
}

impl Trends {
    fn new(armed: Nanos) -> Trends {
        Trends { armed, taken: Vec::new() }
    }

    fn series(&mut self, points: &[wire::Point]) -> Result<Vec<u32>, Wrong> {
        let mut taken = Vec::with_capacity(points.len());
        for point in points {
            taken.push(Nanos(self.armed.0 + nanos(point.seconds, "seconds")?));
        }
        if self.taken.is_empty() {
            if !taken.is_sorted_by(|before, after| before < after) {
                return Err("the points of a trend are not in order".into());
            }
            self.taken = taken;
        } else if !taken.is_empty() && taken != self.taken {
            return Err("two trends have their points at different times".into());
        }
        let lives = points.iter().map(|point| u32::try_from(point.live));
        lives.collect::<Result<_, _>>().map_err(|_| "live in a trend is out of range".into())
    }
}

fn at_most(number: u64, most: u64, name: &str) -> Result<u64, Wrong> {
    if number <= most {
        Ok(number)
    } else {
        Err(format!("{name} is {number}, more than the maximum {most}"))
    }
}

fn in_range(seconds: f64, most: f64, name: &str) -> Result<f64, Wrong> {
    if (0.0..=most).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("{name} is out of range: {seconds}"))
    }
}

fn nanos(seconds: f64, name: &str) -> Result<u64, Wrong> {
    let time = Duration::from_secs_f64(in_range(seconds, MOST_SECONDS, name)?);
    Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn late_nanos(seconds: f64) -> Result<u128, Wrong> {
    Ok(Duration::from_secs_f64(in_range(seconds, MOST as f64, "lateness_seconds")?).as_nanos())
}

/// Time at which an instance of this age was created.
fn made(age: Option<f64>, name: &str) -> Result<Option<Nanos>, Wrong> {
    age.map(|age| nanos(age, name).map(|age| Nanos(NOW.0 - age))).transpose()
}

pub(super) fn date(seconds: f64, name: &str) -> Result<SystemTime, Wrong> {
    let millis = in_range(seconds, MOST_DATE, name)? * 1e3;
    Ok(UNIX_EPOCH + Duration::from_millis(millis.round() as u64))
}
