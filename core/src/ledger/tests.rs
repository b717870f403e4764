//! Lives of instances, one by one, at random, and many at once.

use super::*;

const SITE: SiteId = SiteId(3);
const MAIN: ThreadId = ThreadId(1);

impl Ledger {
    /// The tallies of the first sites, and of the adopted ones.
    fn tallies(&self, sites: usize, young_since: Option<Nanos>) -> (Vec<Tally>, PerKind<Tally>) {
        let mut tallies = vec![Tally::default(); sites];
        let adopted = self.tally(&mut tallies, young_since);
        (tallies, adopted)
    }

    fn make(&self, site: SiteId, thread: ThreadId, now: Nanos) -> InstanceId {
        let id = self.id(thread);
        self.created(id, site, thread, now).unwrap();
        id
    }
}

fn by(thread: u64, role: Role) -> Actor {
    Actor { thread: ThreadId(thread), role }
}

#[test]
fn each_arrow_of_the_diagram_is_taken_once() {
    let ledger = Ledger::default();
    let ids: Vec<_> = (0..5).map(|n| ledger.make(SITE, MAIN, Nanos(n))).collect();
    assert!(ledger.ended(ids[0], by(1, Role::Program), Nanos(10)));
    assert!(
        !ledger.ended(ids[0], by(1, Role::Program), Nanos(11)),
        "the second end() counts nowhere"
    );
    assert!(ledger.ended(ids[1], by(2, Role::Program), Nanos(10)));
    assert!(ledger.ended(ids[2], by(9, Role::Reclaimer), Nanos(102)));
    ledger.freed(ids[3], Nanos(1_003));
    ledger.freed(ids[3], Nanos(2_000));
    ledger.freed(ids[1], Nanos(2_000));
    let tally = ledger.tallies(4, None).0[3];
    assert_eq!(
        tally,
        Tally {
            counts: Counts {
                created: 5,
                ended: 2,
                late: 1,
                collected: 1,
                ended_elsewhere: 1,
                late_nanos: 1_100
            },
            live: 1,
            young: 0,
            oldest: Some(Nanos(4)),
            youngest: Some(Nanos(4)),
        }
    );
    assert!(tally.is_balanced());
}

#[test]
fn what_a_finalizer_makes_and_ends_itself_is_ended() {
    let ledger = Ledger::default();
    let finalizer = |role| by(5, role);
    for (role, expected) in [(Role::Reclaimer, (1, 0)), (Role::StreamFinalizer, (1, 1))] {
        let id = ledger.make(SITE, ThreadId(5), Nanos(0));
        ledger.ended(id, finalizer(role), Nanos(1));
        let counts = ledger.tallies(4, None).0[3].counts;
        assert_eq!((counts.ended, counts.late), expected);
    }
}

#[test]
fn adopted_ones_are_counted_apart() {
    let ledger = Ledger::default();
    let ids: Vec<_> = (0..4).map(|n| ledger.id(ThreadId(n))).collect();
    ids.iter().for_each(|id| ledger.adopted(*id, Kind::Deflater, Nanos(5)).unwrap());
    assert!(ledger.ended(ids[0], by(1, Role::Program), Nanos(6)));
    assert!(ledger.ended(ids[1], by(9, Role::Reclaimer), Nanos(7)));
    ledger.freed(ids[2], Nanos(8));
    let (sites, adopted) = ledger.tallies(1, None);
    assert_eq!(sites, [Tally::default()]);
    let counts = adopted.deflater.counts;
    assert_eq!((counts.created, counts.ended, counts.late, counts.collected), (4, 1, 1, 1));
    assert!(adopted.deflater.live == 1 && adopted.deflater.is_balanced());
    assert_eq!(adopted.inflater, Tally::default());
    ledger.unadopt(ids[3]);
    ledger.unadopt(ids[2]);
    ledger.unadopt(ledger.make(SITE, MAIN, Nanos(9)));
    let (sites, adopted) = ledger.tallies(4, None);
    assert_eq!((adopted.deflater.counts.created, adopted.deflater.live), (3, 0));
    assert_eq!(sites[3].live, 1, "only what was adopted can be disowned");
}

#[test]
fn a_reset_keeps_what_is_live_as_adopted() {
    let ledger = Ledger::default();
    let ids: Vec<_> = (0..3).map(|n| ledger.make(SiteId(n), MAIN, Nanos(u64::from(n)))).collect();
    ledger.ended(ids[0], by(1, Role::Program), Nanos(5));
    ledger.adopted(ledger.id(MAIN), Kind::Inflater, Nanos(5)).unwrap();
    ledger.reset(|site| if site.0 == 1 { Kind::Inflater } else { Kind::Deflater });
    let (sites, adopted) = ledger.tallies(3, None);
    assert!(sites.iter().all(|tally| *tally == Tally::default()));
    assert_eq!((adopted.inflater.counts.created, adopted.inflater.live), (2, 2));
    assert_eq!((adopted.deflater.counts.created, adopted.deflater.live), (1, 1));
    assert_eq!(adopted.deflater.oldest, Some(Nanos(2)), "its age is still known");
    assert!(ledger.ended(ids[1], by(2, Role::Program), Nanos(9)));
    assert_eq!(ledger.tallies(3, None).1.inflater.counts.ended, 1);
}

#[test]
fn the_young_are_counted() {
    let ledger = Ledger::default();
    for made in [1, 5, 9] {
        ledger.make(SITE, MAIN, Nanos(made));
    }
    for (since, young) in [(None, 0), (Some(0), 3), (Some(5), 1), (Some(9), 0)] {
        let tally = ledger.tallies(4, since.map(Nanos)).0[3];
        assert_eq!((tally.live, tally.young), (3, young));
    }
}

#[test]
fn ids_are_never_zero_and_never_the_same() {
    let ledger = Ledger::default();
    let mut seen = std::collections::HashSet::new();
    for thread in 0..200 {
        for _ in 0..10 {
            let id = ledger.make(SITE, ThreadId(thread), Nanos(0));
            assert!(id.0 > 0 && seen.insert(id));
        }
    }
}

#[test]
fn names_are_requested_a_few_times_only() {
    let ledger = Ledger::default();
    let created = |thread| ledger.created(ledger.id(thread), SITE, thread, Nanos(0)).unwrap();
    let requests = (0..1_000).filter(|_| created(MAIN)).count();
    assert_eq!(requests, 1, "one thread is named once");
    let requests = (0..1_000).filter(|n| created(ThreadId(n * 64))).count();
    assert_eq!(
        requests,
        usize::from(MAX_NAME_REQUESTS),
        "many threads of one shard are named a few times"
    );
}

#[test]
fn tallies_add_up_while_others_work() {
    let ledger = Ledger::default();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 1..=4 {
            let (ledger, done) = (&ledger, &done);
            scope.spawn(move || {
                let mut n = 0u64;
                while !done.load(std::sync::atomic::Ordering::Relaxed) || n < 1_000 {
                    n += 1;
                    let id = ledger.make(SiteId(n as u32 % 7), ThreadId(thread), Nanos(n));
                    match n % 3 {
                        0 => _ = ledger.ended(id, by(thread + 1, Role::Program), Nanos(n)),
                        1 => ledger.freed(id, Nanos(n)),
                        _ => {}
                    }
                }
            });
        }
        for _ in 0..50 {
            assert!(ledger.tallies(7, None).0.iter().all(Tally::is_balanced));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_burst_gives_its_memory_back() {
    let ledger = Ledger::default();
    let ids: Vec<_> = (0..100_000).map(|_| ledger.make(SITE, MAIN, Nanos(0))).collect();
    for id in ids {
        ledger.freed(id, Nanos(1));
    }
    ledger.shrink();
    assert!(ledger.shard(1).live.capacity() < 1_024);
}
