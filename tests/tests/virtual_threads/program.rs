//! The program `VirtualLives`: what it says of its streams, and that a report says the same.
//!
//! Invariant: a number of a report is compared with one that the program counted itself.

use std::collections::BTreeMap;
use zaudit_tests::Result;
use zaudit_tests::child::{Ended, Running};
use zaudit_tests::command::Zaudit;
use zaudit_tests::ensure;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Kind, Report, Site};

/// What a report may say of a stream that the program has lost.
#[derive(Clone, Copy, PartialEq)]
pub enum Lost {
    /// That the JVM freed it.
    Collected,
    /// That it is live.
    Live,
    /// One of the two: no collection was forced.
    Either,
}

/// What the program says of the streams that it made at one depth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Made {
    /// By constructors.
    pub created: u64,
    /// By itself, or by another thread.
    pub ended: u64,
    /// Neither ended nor kept.
    pub lost: u64,
}

/// That of each kind and depth: `inflater@20`.
pub type Ledger = BTreeMap<String, Made>;

/// `{inflater@20=12/4/3, …}`: created, ended, lost.
fn ledger(text: &str) -> Result<Ledger> {
    let wrong = || format!("no ledger: {text:?}");
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or_else(wrong)?;
    let entry = |entry: &str| -> Option<(String, Made)> {
        let (name, counts) = entry.split_once('=')?;
        let mut counts = counts.split('/').map(str::parse);
        let mut next = || counts.next()?.ok();
        Some((name.to_owned(), Made { created: next()?, ended: next()?, lost: next()? }))
    };
    let entries = inner.split(", ").filter(|entry| !entry.is_empty());
    entries.map(|text| entry(text).ok_or_else(wrong)).collect()
}

/// The sum over all depths of a kind.
pub fn total(ledger: &Ledger, kind: Kind) -> Made {
    let mut sum = Made::default();
    for (_, made) in ledger.iter().filter(|(name, _)| name.starts_with(&kind.to_string())) {
        sum.created += made.created;
        sum.ended += made.ended;
        sum.lost += made.lost;
    }
    sum
}

/// A program of virtual threads, and what it must have printed by now.
pub struct Program {
    /// Its process.
    pub running: Running,
    zaudit: Zaudit,
    said: Vec<String>,
}

impl Program {
    /// Starts it.
    pub fn start(jvm: Jvm, zaudit: &Zaudit) -> Result<Self> {
        let mut running = jvm.spawn()?;
        running.wait_for("ready")?;
        Ok(Self { running, zaudit: zaudit.clone(), said: vec!["ready".into()] })
    }

    /// Has it do what `line` says; gives what it has made, ended and lost since it forgot.
    pub fn obey(&mut self, line: &str) -> Result<Ledger> {
        self.running.say(line)?;
        let begins = format!("done {line}: ");
        let said = self.running.wait_for_line(&begins)?;
        let made = ledger(said.strip_prefix(&begins).unwrap_or_default());
        self.said.push(said);
        made
    }

    /// `zaudit SUBCOMMAND` with success.
    pub fn zaudit(&self, subcommand: &str, words: &[&str]) -> Result<String> {
        self.zaudit.ask(subcommand, self.running.pid(), words)?.done()
    }

    /// The report of `dump` or `disarm`.
    pub fn report(&self, subcommand: &str, words: &[&str]) -> Result<Report> {
        self.zaudit.report(subcommand, self.running.pid(), words)
    }

    /// Lets it end, and ensures that it ended as it does without the agent.
    pub fn end(mut self) -> Result<Ended> {
        self.running.close();
        self.said.push("ended".into());
        let ended = self.running.finish()?;
        ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
        let printed = ended.printed();
        ensure!(printed.lines().eq(self.said.iter().map(String::as_str)), ended.to_string());
        Ok(ended)
    }
}

/// Ensures that the report has what the program says, at each depth, and that every stack is whole.
/// The depth of a site is the number of calls of the recursion that its stack has.
pub fn ensure_lives(report: &Report, made: &Ledger, lost: Lost) -> Result<()> {
    let mut counted = BTreeMap::<String, [u64; 5]>::new();
    for site in &report.sites {
        ensure_whole(site)?;
        if !site.is_of("VirtualLives$Churn") {
            let depth =
                site.frames.iter().filter(|f| f.to_string() == "VirtualLives$Life.down").count();
            let sum = counted.entry(format!("{}@{depth}", site.kind)).or_default();
            let counts = &site.counts;
            let parts = [counts.created, counts.ended, counts.late, counts.collected, counts.live];
            sum.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
    }
    let same = counted.keys().eq(made.keys());
    ensure!(same, "the program made {made:?}, and the report has {counted:?}");
    for (name, [created, ended, late, collected, live]) in counted {
        let made = made.get(&name).copied().unwrap_or_default();
        let open = made.created - made.ended;
        let right = match lost {
            Lost::Collected => collected == made.lost && live == open - made.lost,
            Lost::Live => collected == 0 && live == open,
            Lost::Either => collected <= made.lost && collected + live == open,
        };
        let right = right && created == made.created && ended == made.ended && late == 0;
        ensure!(right, {
            let counts = [created, ended, late, collected, live];
            format!(
                "{name}: {made:?}, and the report has {counts:?} (created, ended, late, collected, live)"
            )
        });
    }
    Ok(())
}

/// The outermost frames of every virtual thread, from the outside in.
const OUTERMOST: [&str; 3] = [
    "jdk.internal.vm.Continuation.enter",
    "jdk.internal.vm.Continuation.enter0",
    "java.lang.VirtualThread.run",
];

/// Ensures that no frame is missing between the constructor and the first frame of the thread.
fn ensure_whole(site: &Site) -> Result<()> {
    let names: Vec<String> = site.frames.iter().rev().map(ToString::to_string).collect();
    let outermost =
        names.iter().map(String::as_str).filter(|name| !name.contains("VThreadContinuation"));
    let reaches = outermost.take(OUTERMOST.len()).eq(OUTERMOST);
    // The calls of a recursion follow each other.
    let down = |name: &String| name == "VirtualLives$Life.down";
    let calls = names.iter().skip_while(|name| !down(name)).take_while(|name| down(name)).count();
    let together = calls == names.iter().filter(|name| down(name)).count();
    ensure!(reaches && together && !site.truncated, {
        format!(
            "a stack is not whole, {} frames with {calls} calls together: {}\n{names:#?}",
            names.len(),
            site.describe()
        )
    });
    Ok(())
}
