//! What a report costs: the time of each renderer, its bytes, and the memory beyond the state that
//! it reports.
//!
//! Run by `scripts/bench --formats`, no test. Invariant: no time is judged; each renderer writes to
//! a sink that counts, in pieces as a file gets them.

use crate::report;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Instant;
use zaudit_core::model::{Actor, Frame, Kind, Nanos, Role, SiteId, Stack, ThreadId};
use zaudit_core::options::Format;
use zaudit_core::report::Style;
use zaudit_core::testing::Recording;

/// Frames a stack; most of them are the framework's, which many stacks share.
const DEPTH: usize = 40;
const ROUNDS: usize = 5;

/// What became of the instances of the sites.
#[derive(Clone, Copy)]
enum Lives {
    /// Every third site leaks, the others have live ones or none.
    Mixed { live: usize },
    /// All were ended.
    Ended,
    /// Every site leaks one.
    Leaked,
}

/// Prints the table: milliseconds of wall time (the median of some rounds, and the slowest) and of
/// the processor, the size, and how much the resident set grew at most from the snapshot to the
/// last byte.
pub(crate) fn print() -> ExitCode {
    println!(
        "{:>7} {:<16}  {:<10} {:>9} {:>9} {:>9} {:>12} {:>12}",
        "sites", "instances", "format", "ms", "slowest", "cpu ms", "bytes", "peak KiB"
    );
    for (sites, lives) in [
        (1_000, Lives::Mixed { live: 1_000_000 }),
        (10_000, Lives::Mixed { live: 100_000 }),
        (10_000, Lives::Mixed { live: 1_000_000 }),
        (100_000, Lives::Ended),
        (100_000, Lives::Leaked),
    ] {
        let begun = Instant::now();
        let (session, name) = (session(sites, lives), lives.name());
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        println!("{sites:>7} {name:<16}  {:<10} {ms:>9.1}", "(lived)");
        for format in Format::ALL {
            let (mut times, mut cpu, mut peak, mut size) = (Vec::new(), f64::MAX, 0, 0);
            for _ in 0..ROUNDS {
                let before = settled();
                let (begun, ran) = (Instant::now(), on_cpu());
                let mut sink = BufWriter::with_capacity(64 << 10, Counting(0));
                let report = report(&session);
                report
                    .render(format, Style::default(), &mut sink)
                    .expect("a sink takes everything");
                sink.flush().expect("a sink takes everything");
                times.push(begun.elapsed().as_secs_f64() * 1e3);
                cpu = cpu.min(on_cpu() - ran);
                peak = peak.max(status("VmHWM").saturating_sub(before));
                size = sink.get_ref().0;
            }
            times.sort_by(f64::total_cmp);
            let (median, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
            println!(
                "{sites:>7} {name:<16}  {:<10} {median:>9.1} {slowest:>9.1} {cpu:>9.1} {size:>12} {peak:>12}",
                format.name()
            );
        }
    }
    ExitCode::SUCCESS
}

impl Lives {
    fn name(self) -> String {
        match self {
            Lives::Mixed { live } => format!("{live} live"),
            Lives::Ended => "all ended".into(),
            Lives::Leaked => "one leaked each".into(),
        }
    }
}

/// Counts the bytes that it gets.
struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Milliseconds that this thread has had a processor for.
fn on_cpu() -> f64 {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    schedstat
        .split_whitespace()
        .next()
        .and_then(|nanos| nanos.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        / 1e6
}

/// The resident set, without what was freed, and with its highest mark put back to it.
fn settled() -> u64 {
    // SAFETY: it takes nothing but a number, and gives back memory that is not in use.
    unsafe { libc::malloc_trim(0) };
    // Without it the peak is that of all before: the table is then too high, never too low.
    let _ = fs::write("/proc/self/clear_refs", "5");
    status("VmRSS")
}

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Two sites each, one of a kind, have the same method as blame frame, on different lines.
fn session(sites: usize, lives: Lives) -> Recording {
    let session = Recording::default();
    for at in 0..sites {
        let site = session.learn(Kind::ALL[at % 2], stack(at)).expect("there is memory");
        session.name_thread(site, format!("pool-1-thread-{}", at % 64));
        let enter = || enter(&session, site);
        let leak = || session.record_freed(enter(), Nanos(1_000_000_000));
        match lives {
            Lives::Mixed { live } => {
                (0..live / sites).for_each(|_| _ = enter());
                if at % 3 == 0 {
                    leak();
                }
            }
            Lives::Ended => {
                let by = Actor { thread: ThreadId(1), role: Role::Program };
                session.record_ended(enter(), by, Nanos(1));
            }
            Lives::Leaked => leak(),
        }
    }
    session
}

fn enter(session: &Recording, site: SiteId) -> zaudit_core::model::InstanceId {
    let id = session.id();
    session.record_created(id, site, ThreadId(1), Nanos(0)).expect("there is memory");
    id
}

fn stack(at: usize) -> Stack {
    let class = ["java.util.zip.Inflater", "java.util.zip.Deflater"][at % 2];
    let frame = |class: String, method: String, line: usize| Frame {
        file: class.rsplit('.').next().map(|name| format!("{name}.java")),
        line: Some(line as u32 + 1),
        ..Frame::named(&class, &method)
    };
    let mut frames = vec![
        frame(class.into(), "<init>".into(), 100),
        frame(format!("org.acme.codec.Codec{}", at / 2), "open".into(), at),
    ];
    // Who calls whom: the further out, the fewer different ones.
    frames.extend((2..DEPTH).map(|depth| {
        let which = at % (2_000 / depth);
        frame(format!("org.framework.dispatch.Layer{depth}"), format!("invoke{which}"), which)
    }));
    Stack { frames, truncated: false, subclass: None }
}
