//! Lives of instances, one by one, at random, and many at once.

use super::*;

const SITE: SiteId = SiteId(3);
const MAIN: ThreadId = ThreadId(1);

/// A ledger and the counts of one thread.
#[derive(Default)]
struct Book {
    ledger: Ledger,
    own: ThreadCounts,
}

impl Book {
    /// The tallies of the first sites, and of the adopted ones.
    fn tallies(&mut self, sites: usize, since: Option<Nanos>) -> (Vec<Tally>, PerKind<Tally>) {
        let mut tallies = vec![Tally::default(); sites];
        let (adopted, adds_up) = self.ledger.tally([&self.own].into_iter(), &mut tallies, since);
        assert!(adds_up);
        (tallies, adopted)
    }

    fn make(&mut self, site: SiteId, thread: ThreadId, now: Nanos) -> InstanceId {
        let id = Ledger::next_id();
        let created = self.ledger.created(&self.own, id, site, thread, now);
        if created == Err(NotEntered::Full) {
            self.ledger.grow([&self.own].into_iter()).unwrap();
            self.ledger.created(&self.own, id, site, thread, now).unwrap();
        }
        id
    }

    fn adopt(&mut self, kind: Kind, now: Nanos) -> InstanceId {
        let id = Ledger::next_id();
        self.ledger.adopted(&self.own, id, kind, now).unwrap();
        id
    }

    fn ended(&self, id: InstanceId, by: Actor, now: Nanos) -> bool {
        self.ledger.ended(&self.own, id, by, || now)
    }
}

impl Ledger {
    fn with_room() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.grow(std::iter::empty()).unwrap();
        ledger
    }
}

const fn ms(millis: u64) -> Nanos {
    Nanos(millis * 1_000_000)
}

fn by(thread: u64, role: Role) -> Actor {
    Actor { thread: ThreadId(thread), role }
}

impl Book {
    /// Lends an instance to an entry stream at the site `LOAN`.
    fn lend(&self, id: InstanceId, now: Nanos) {
        self.ledger.lent(&self.own, id, LOAN, MAIN, now).unwrap();
    }

    fn give_back(&self, id: InstanceId, by: Actor, now: Nanos) -> bool {
        self.ledger.given_back(&self.own, id, by, || now)
    }
}

const LOAN: SiteId = SiteId(5);

#[test]
fn a_loan_is_given_back_or_ends_with_its_instance() {
    let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
    let ids: Vec<_> = (0..6).map(|_| book.make(SITE, MAIN, ms(0))).collect();
    ids.iter().for_each(|id| book.lend(*id, ms(10)));
    assert!(ids.iter().all(|id| book.ledger.knows(*id) && book.ledger.knows(id.loan())));
    // By the program and by a Cleaner; the instance stays.
    assert!(book.give_back(ids[0], by(1, Role::Program), ms(20)));
    assert!(!book.give_back(ids[0], by(1, Role::Program), ms(20)), "it is given back once");
    assert!(book.give_back(ids[1], by(9, Role::Reclaimer), ms(30)));
    assert!(book.ledger.knows(ids[0]) && !book.ledger.knows(ids[0].loan()));
    // Lent again, and ended with the file; ended by its own finalizer; by a Cleaner; freed.
    book.lend(ids[0], ms(40));
    assert!(book.ended(ids[0], by(2, Role::Program), ms(50)));
    assert!(book.ended(ids[2], by(9, Role::StreamFinalizer), ms(60)));
    assert!(book.ended(ids[3], by(9, Role::Reclaimer), ms(70)));
    assert!(book.ledger.freed(ids[4], ms(80)));
    let tallies = book.tallies(6, None).0;
    let Tally { counts: loans, live, .. } = tallies[5];
    assert_eq!((loans.created, loans.ended, loans.ended_with_file), (7, 2, 1));
    assert_eq!((loans.late, loans.collected, loans.lost_lent, live), (3, 1, 0, 1));
    let Tally { counts, live, .. } = tallies[3];
    assert_eq!((counts.created, counts.ended, counts.ended_with_file), (6, 1, 0));
    assert_eq!((counts.late, counts.collected, counts.lost_lent, live), (2, 1, 3, 2));
    // An instance that is not known may have been lent all the same.
    let unknown = Ledger::next_id();
    book.lend(unknown, ms(90));
    assert!(!book.ended(unknown, by(1, Role::Program), ms(91)));
    assert_eq!(book.tallies(6, None).0[5].counts.ended_with_file, 2);
}

#[test]
fn one_of_several_threads_ends_an_instance() {
    const INSTANCES: u64 = if cfg!(miri) { 50 } else { 50_000 };
    let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
    let ids: Vec<_> = (0..INSTANCES).map(|n| book.make(SITE, MAIN, ms(n))).collect();
    let arrived = AtomicU64::new(0);
    let counts = [ThreadCounts::default(), ThreadCounts::default()];
    let end_all = |own: &ThreadCounts| {
        ids.iter().zip(1..).fold(0, |first, (id, round)| {
            // A barrier of the library would let one go before the other.
            arrived.fetch_add(1, Ordering::Relaxed);
            for spins in 1_u32.. {
                match arrived.load(Ordering::Relaxed) {
                    all if all >= 2 * round => break,
                    _ if spins.is_multiple_of(1_000) => std::thread::yield_now(),
                    _ => std::hint::spin_loop(),
                }
            }
            let by = by(2, Role::Program);
            first + u64::from(book.ledger.ended_once(own, *id, by, || ms(1)))
        })
    };
    let first: u64 = std::thread::scope(|scope| {
        let threads = counts.each_ref().map(|own| scope.spawn(|| end_all(own)));
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert_eq!(first, INSTANCES);
    let mut tallies = vec![Tally::default(); 4];
    let all = counts.iter().chain([&book.own]);
    assert!(book.ledger.tally(all, &mut tallies, None).1);
    assert_eq!((tallies[3].counts.created, tallies[3].counts.ended), (INSTANCES, INSTANCES));
}

#[test]
fn loans_of_odd_addresses_are_loans_too() {
    for address in [0x7f00_0000_1230, 0x7f00_0000_1238, 0x1231, 16] {
        let id = InstanceId::of_address(address);
        assert_eq!((id.address(), id.loan().address()), (address, address), "{address:#x}");
        let neighbour = InstanceId::of_address(address + 8);
        assert!(id != id.loan() && neighbour != id.loan() && neighbour.loan() != id.loan());
        let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
        book.ledger.created(&book.own, id, SITE, MAIN, ms(0)).unwrap();
        book.lend(id, ms(1));
        book.ledger.created(&book.own, neighbour, SITE, MAIN, ms(0)).unwrap();
        assert!(book.ended(id, by(1, Role::Program), ms(2)));
        let tallies = book.tallies(6, None).0;
        assert_eq!(
            (tallies[3].live, tallies[5].live, tallies[5].counts.ended_with_file),
            (1, 0, 1)
        );
    }
}

#[test]
fn each_arrow_of_the_diagram_is_taken_once() {
    let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
    let ids: Vec<_> = (0..5).map(|n| book.make(SITE, MAIN, ms(n))).collect();
    assert!(book.ended(ids[0], by(1, Role::Program), ms(10)));
    assert!(!book.ended(ids[0], by(1, Role::Program), ms(11)), "the second end() counts nowhere");
    assert!(book.ended(ids[1], by(2, Role::Program), ms(10)));
    assert!(book.ended(ids[2], by(9, Role::Reclaimer), ms(102)));
    assert!(book.ledger.freed(ids[3], ms(1_003)));
    assert!(!book.ledger.freed(ids[3], ms(2_000)) && !book.ledger.freed(ids[1], ms(2_000)));
    assert!(book.ledger.knows(ids[4]) && !book.ledger.knows(ids[3]));
    let tally = book.tallies(4, None).0[3];
    assert_eq!(
        tally,
        Tally {
            counts: Counts {
                created: 5,
                ended: 2,
                late: 1,
                collected: 1,
                ended_elsewhere: 1,
                late_nanos: 1_100_000_000,
                ..Counts::default()
            },
            live: 1,
            young: 0,
            oldest: Some(ms(4)),
            youngest: Some(ms(4)),
        }
    );
    assert!(tally.is_balanced());
}

#[test]
fn what_a_finalizer_makes_and_ends_itself_is_ended() {
    let mut book = Book::default();
    for (role, expected) in [(Role::Reclaimer, (1, 0)), (Role::StreamFinalizer, (1, 1))] {
        let id = book.make(SITE, ThreadId(5), ms(0));
        book.ended(id, by(5, role), ms(1));
        let counts = book.tallies(4, None).0[3].counts;
        assert_eq!((counts.ended, counts.late), expected);
    }
}

#[test]
fn what_was_live_before_is_not_what_has_its_id_later() {
    let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
    let ids: Vec<_> = (5..8).map(|n| book.make(SITE, MAIN, ms(n))).collect();
    book.adopt(Kind::Inflater, ms(1));
    let wanted = |site| site == SITE;
    // Those of the same millisecond could be mixed up with what gets their ids in it.
    let mut live = book.ledger.live_before(ms(7), wanted).unwrap();
    live.sort_unstable_by_key(|(_, created)| created.0);
    assert_eq!(live, [(ids[0], ms(5)), (ids[1], ms(6))]);
    assert_eq!(book.ledger.live_before(ms(7), |_| false), Ok(Vec::new()));
    assert!(live.iter().all(|(id, created)| book.ledger.is_live(*id, *created)));
    book.ended(ids[0], by(1, Role::Program), ms(8));
    assert!(!book.ledger.is_live(ids[0], ms(5)));
    book.ledger.created(&book.own, ids[0], SITE, MAIN, ms(7)).unwrap();
    assert!(!book.ledger.is_live(ids[0], ms(5)) && book.ledger.is_live(ids[0], ms(7)));
}

#[test]
fn adopted_ones_are_counted_apart() {
    let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
    let ids: Vec<_> = (0..4).map(|_| book.adopt(Kind::Deflater, ms(5))).collect();
    assert!(book.ended(ids[0], by(1, Role::Program), ms(6)));
    assert!(book.ended(ids[1], by(9, Role::Reclaimer), ms(7)));
    book.ledger.freed(ids[2], ms(8));
    let (sites, adopted) = book.tallies(1, None);
    assert_eq!(sites, [Tally::default()]);
    let counts = adopted.deflater.counts;
    assert_eq!((counts.created, counts.ended, counts.late, counts.collected), (4, 1, 1, 1));
    assert!(adopted.deflater.live == 1 && adopted.deflater.is_balanced());
    assert_eq!(adopted.inflater, Tally::default());
    book.ledger.unadopt(ids[3]);
    book.ledger.unadopt(ids[2]);
    let made = book.make(SITE, MAIN, ms(9));
    book.ledger.unadopt(made);
    let (sites, adopted) = book.tallies(4, None);
    assert_eq!((adopted.deflater.counts.created, adopted.deflater.live), (3, 0));
    assert_eq!(sites[3].live, 1, "only what was adopted can be disowned");
}

#[test]
fn a_reset_keeps_what_is_live_as_adopted() {
    let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
    let ids: Vec<_> = (0..3).map(|n| book.make(SiteId(n), MAIN, ms(u64::from(n)))).collect();
    book.ended(ids[0], by(1, Role::Program), ms(5));
    book.adopt(Kind::Inflater, ms(5));
    let kind = |site: SiteId| if site.0 == 1 { Kind::Inflater } else { Kind::Deflater };
    book.ledger.reset([&book.own].into_iter(), kind).unwrap();
    let (sites, adopted) = book.tallies(3, None);
    assert!(sites.iter().all(|tally| *tally == Tally::default()));
    assert_eq!((adopted.inflater.counts.created, adopted.inflater.live), (2, 2));
    assert_eq!((adopted.deflater.counts.created, adopted.deflater.live), (1, 1));
    assert_eq!(adopted.deflater.oldest, Some(ms(2)), "its age is still known");
    assert!(book.ended(ids[1], by(2, Role::Program), ms(9)));
    assert_eq!(book.tallies(3, None).1.inflater.counts.ended, 1);
}

#[test]
fn the_young_are_counted() {
    let mut book = Book::default();
    for made in [1, 5, 9] {
        book.make(SITE, MAIN, ms(made));
    }
    for (since, young) in [(None, 0), (Some(0), 3), (Some(5), 1), (Some(9), 0)] {
        let tally = book.tallies(4, since.map(ms)).0[3];
        assert_eq!((tally.live, tally.young), (3, young));
    }
}

#[test]
fn an_instance_at_the_address_of_another_replaces_it() {
    let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
    for (id, site) in [(0x1000, 1), (0x1000, 2), (0x1008, 3), (0x1008, 4)] {
        let created = book.ledger.created(&book.own, InstanceId(id), SiteId(site), MAIN, ms(1));
        assert_eq!(created.unwrap().replaced, site % 2 == 0, "{id:#x}");
    }
    let live: Vec<_> = book.tallies(5, None).0.iter().map(|tally| tally.live).collect();
    assert_eq!(live, [0, 0, 1, 0, 1]);
    let oldest = book.ledger.oldest([SiteId(2), SiteId(4)].into_iter(), 9);
    assert_eq!(oldest[&SiteId(4)], [InstanceId(0x1008)], "an odd id is found, too");
    assert_eq!(oldest[&SiteId(2)], [InstanceId(0x1000)]);
}

#[test]
fn a_site_requests_the_names_of_a_few_threads() {
    const THREADS: usize = if cfg!(miri) { 20 } else { 200 };
    let mut ledger = Ledger::default();
    let threads: Vec<ThreadCounts> = (0..THREADS).map(|_| ThreadCounts::default()).collect();
    ledger.grow(threads.iter()).unwrap();
    let requests = |own: &ThreadCounts| {
        let created = || ledger.created(own, InstanceId(16), SITE, MAIN, ms(0)).unwrap();
        (0..10).filter(|_| created().wants_name).count()
    };
    assert_eq!(requests(&threads[0]), 1, "one thread is named once");
    let all: usize = threads.iter().map(requests).sum();
    assert_eq!(all, usize::from(MAX_NAME_REQUESTS) - 1);
}

#[test]
fn a_table_without_room_requests_no_name() {
    let (mut ledger, own) = (Ledger::default(), ThreadCounts::default());
    let created = |ledger: &Ledger| ledger.created(&own, InstanceId(16), SITE, MAIN, ms(0));
    assert_eq!(created(&ledger), Err(NotEntered::Full));
    ledger.grow([&own].into_iter()).unwrap();
    assert!(created(&ledger).unwrap().wants_name);
}

#[test]
fn many_sites_are_counted_by_few_lines() {
    const SITES: u32 = if cfg!(miri) { 40 } else { 2_000 };
    let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
    for round in 0..3 {
        for site in 0..SITES {
            let id = book.make(SiteId(site), MAIN, ms(round));
            assert!(book.ended(id, by(1 + round % 2, Role::Program), ms(round)));
        }
    }
    let (tallies, _) = book.tallies(SITES as usize, None);
    for tally in tallies {
        let Counts { created, ended, ended_elsewhere, .. } = tally.counts;
        assert_eq!((created, ended, ended_elsewhere, tally.live), (3, 3, 1, 0));
    }
}

#[test]
fn counts_of_a_thread_that_ends_are_kept() {
    let mut book = Book { ledger: Ledger::with_room(), ..Book::default() };
    let id = book.make(SITE, MAIN, ms(0));
    book.ended(id, by(1, Role::Program), ms(1));
    book.ledger.flush([&book.own].into_iter());
    book.own = ThreadCounts::default();
    let counts = book.tallies(4, None).0[3].counts;
    assert_eq!((counts.created, counts.ended), (1, 1));
    let kind = |_| Some(Kind::Inflater);
    let (sums, adopted) = book.ledger.sums([&book.own].into_iter(), kind);
    assert_eq!((sums.inflater.counts.created, adopted.inflater.counts.created), (1, 0));
    assert!(sums.inflater.is_balanced());
}

#[test]
fn threads_that_work_at_once_add_up() {
    const HUNDREDS: u64 = if cfg!(miri) { 2 } else { 300 };
    let mut ledger = Ledger::with_room();
    let threads: Vec<ThreadCounts> = (0..4).map(|_| ThreadCounts::default()).collect();
    std::thread::scope(|scope| {
        for (number, own) in (1u64..).zip(&threads) {
            let ledger = &ledger;
            scope.spawn(move || {
                for n in 0..100 * HUNDREDS {
                    let thread = ThreadId(number);
                    let id = match n % 100 {
                        0 => Ledger::next_id(),
                        _ => InstanceId(((1 << 40) | (number << 20) | (n % 50)) << 4),
                    };
                    ledger.created(own, id, SiteId((n % 200) as u32), thread, ms(n)).unwrap();
                    match n % 100 {
                        0 => {}
                        1 => assert!(ledger.freed(id, ms(n))),
                        _ => assert!(ledger.ended(own, id, by(number, Role::Program), || ms(n))),
                    }
                }
            });
        }
    });
    let mut tallies = vec![Tally::default(); 200];
    let (_, adds_up) = ledger.tally(threads.iter(), &mut tallies, None);
    assert!(adds_up);
    let mut all = Tally::default();
    tallies.iter().for_each(|tally| all.add(tally));
    let Counts { created, ended, collected, .. } = all.counts;
    assert_eq!(
        (created, ended, collected, all.live),
        (400 * HUNDREDS, 392 * HUNDREDS, 4 * HUNDREDS, 4 * HUNDREDS)
    );
}

#[test]
#[cfg_attr(miri, ignore = "too slow")]
fn a_burst_gives_its_memory_back() {
    let mut book = Book::default();
    let ids: Vec<_> = (0..100_000).map(|_| book.make(SITE, MAIN, ms(0))).collect();
    for id in ids {
        book.ledger.freed(id, ms(1));
    }
    book.ledger.shrink([&book.own].into_iter());
    assert!(book.ledger.table.capacity() < 10_000);
}
