//! What each renderer costs on a big report: 1,000,000 live instances on 10,000 sites, and a tenth of either beside it.
//!
//! Run by `scripts/bench --formats`, no test. Invariant: no time is judged; each renderer runs on a report that is there already.

use crate::{made, rendered};
use std::fs;
use std::process::ExitCode;
use std::time::Instant;
use zaudit::event::{Frame, Kind, Nanos, Stack, StackKey, ThreadId};
use zaudit::options::Format;
use zaudit::report::Report;
use zaudit::session::Session;

/// Frames a stack; most of them are the framework's, which many stacks share.
const DEPTH: usize = 40;
const ROUNDS: usize = 5;

/// Prints the table: milliseconds (the median of some rounds, and the slowest), the size, and how much the resident set grew at most.
pub(crate) fn print() -> ExitCode {
    println!(
        "{:>6} {:>9}  {:<10} {:>9} {:>9} {:>12} {:>12}",
        "sites", "live", "format", "ms", "slowest", "bytes", "peak KiB"
    );
    for (sites, live) in [(1_000, 1_000_000), (10_000, 100_000), (10_000, 1_000_000)] {
        let begun = Instant::now();
        let report = report(sites, live);
        println!("{sites:>6} {live:>9}  {:<10} {:>9.1}", "(made)", begun.elapsed().as_secs_f64() * 1e3);
        for format in Format::ALL {
            let (mut times, mut peak, mut size) = (Vec::new(), 0, 0);
            for _ in 0..ROUNDS {
                let before = settled();
                let begun = Instant::now();
                size = rendered(&report, format).len();
                times.push(begun.elapsed().as_secs_f64() * 1e3);
                peak = peak.max(status("VmHWM").saturating_sub(before));
            }
            times.sort_by(f64::total_cmp);
            let (median, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
            println!(
                "{sites:>6} {live:>9}  {:<10} {median:>9.1} {slowest:>9.1} {size:>12} {peak:>12}",
                format.name()
            );
        }
    }
    ExitCode::SUCCESS
}

/// The resident set, its highest mark put back to it.
fn settled() -> u64 {
    // Without it the peak is that of all before: the table is then too high, never too low.
    let _ = fs::write("/proc/self/clear_refs", "5");
    status("VmRSS")
}

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Leaks, suspects and clean sites in turns; half of the sites' culprits are shared.
fn report(sites: usize, live: usize) -> Report {
    made(|session| {
        for at in 0..sites {
            let site = session.learn(Kind::ALL[at % 2], StackKey(at as u64), stack(at));
            session.name_thread(site, format!("pool-1-thread-{}", at % 64));
            (0..live / sites).for_each(|_| enter(session, site));
            if at % 3 == 0 {
                let id = session.id(ThreadId(1));
                session.created(id, site, ThreadId(1), Nanos(0));
                session.freed(id, Nanos(1_000_000_000));
            }
        }
    })
}

fn enter(session: &Session, site: zaudit::event::SiteId) {
    session.created(session.id(ThreadId(1)), site, ThreadId(1), Nanos(0));
}

fn stack(at: usize) -> Stack {
    let class = ["java.util.zip.Inflater", "java.util.zip.Deflater"][at % 2];
    let frame = |class: String, method: String, line: usize| Frame {
        file: class.rsplit('.').next().map(|name| format!("{name}.java")),
        class,
        method,
        line: Some(line as u32 + 1),
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
