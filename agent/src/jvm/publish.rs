//! A report on its way out: settle, snapshot, judge, render, write.
//!
//! Runs on the agent's own thread; for the last report on the thread that ends the JVM. Invariant: a report that
//! cannot be written to its file is written to standard error.

use super::agent::Agent;
use super::env::Jni;
use super::{gather, os};
use crate::dump;
use crate::event::Trigger;
use crate::report::{Process, Report};
use crate::suppress::Rule;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Reports are made one after the other, and those on demand are numbered.
#[derive(Default)]
pub(super) struct Turn {
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Default)]
struct State {
    /// A report, or the last collection, is under way.
    busy: bool,
    /// No report on demand begins any more.
    ending: bool,
    /// The collection before the last report was begun, and what it could not do.
    collected: Option<Unsettled>,
    number: u32,
}

/// What a report's preparation could not do.
type Unsettled = Option<String>;

/// How long the end of the JVM waits for what is under way: a report that hangs (a pipe that nobody reads) does not
/// keep the program from ending.
const PATIENCE: Duration = Duration::from_secs(10);

impl Turn {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a report on demand; none once the JVM is ending.
    fn begin(&self) -> Option<u32> {
        let mut state = self.state();
        if state.ending || state.busy {
            return None;
        }
        state.busy = true;
        state.number += 1;
        Some(state.number)
    }

    fn end(&self) {
        self.state().busy = false;
        self.free.notify_all();
    }

    /// Keeps further reports from starting, and waits for what is under way. What the state is then.
    fn last(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.ending = true;
        match self.free.wait_timeout_while(state, PATIENCE, |state| state.busy) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }
}

/// A report on demand.
pub(super) fn on_demand(agent: &Agent, jni: Jni, trigger: Trigger) {
    if let Some(number) = agent.publishing.begin() {
        let unsettled = if agent.options.gc { gather::collect(agent, jni) } else { None };
        publish(agent, trigger, Some(number), unsettled);
        agent.publishing.end();
    }
}

/// The JVM is about to end: the last moment at which a collection can be forced.
pub(super) fn ending(agent: &Agent, jni: Jni) {
    let mut state = agent.publishing.last();
    if state.busy || state.collected.is_some() || !agent.options.gc {
        return;
    }
    (state.busy, state.collected) = (true, Some(None));
    drop(state);
    let (uncollected, undelivered) = (gather::collect(agent, jni), deliver(agent));
    agent.publishing.state().collected = Some(uncollected.or(undelivered));
    agent.publishing.end();
}

/// The last report.
pub(super) fn last(agent: &Agent) {
    let collected = agent.publishing.last().collected.take();
    let unsettled = collected.unwrap_or_else(|| {
        let reason = "no collection before this report: the JVM did not end through java.lang.Shutdown";
        agent.options.gc.then(|| format!("{reason}; garbage may be called live"))
    });
    publish(agent, Trigger::Exit, None, unsettled);
}

/// Enters what the collector has freed, told already or not.
fn deliver(agent: &Agent) -> Unsettled {
    let delivered = super::entry::deliver_pending(agent);
    agent.drain();
    let error = delivered.err()?;
    Some(format!("pending frees were not delivered: {error}; garbage may be called live"))
}

fn publish(agent: &Agent, trigger: Trigger, number: Option<u32>, unsettled: Unsettled) {
    #[cfg(feature = "fault-injection")]
    super::fault::dump();
    let undelivered = deliver(agent);
    agent.session.unsettled(unsettled.or(undelivered));
    let snapshot = agent.session.snapshot(agent.now(), agent.options.min_age);
    let property = |name| agent.jvmti.system_property(name).unwrap_or_default();
    let process = Process {
        pid: std::process::id(),
        jvm: format!(
            "{} {} (Java {})",
            property(c"java.vm.name"),
            property(c"java.vm.version"),
            property(c"java.vm.specification.version")
        ),
        command: property(c"sun.java.command"),
        started: agent.started,
        taken: SystemTime::now(),
        trigger,
        number,
    };
    let growth = crate::growth::Growth::default();
    write(agent, &Report::new(process, &snapshot, Rule::built_in(), &growth), number);
}

fn write(agent: &Agent, report: &Report, number: Option<u32>) {
    let style = os::stderr_style();
    let Some(pattern) = &agent.options.file else {
        return os::write_stderr(&report.render(agent.options.format, style));
    };
    let path =
        |number| pattern.path(&dump::Naming { pid: report.process.pid, time: report.process.taken, number });
    let path = if dump::is_special(&path(None)) { path(None) } else { path(number) };
    let bytes = report.render(agent.options.format, crate::report::Style::default());
    if let Err(error) = dump::write(&path, &bytes) {
        let why = dump::reason(&error);
        os::say(&format!("cannot write {}: {why}; the report follows here", path.display()));
        os::write_stderr(&report.render(agent.options.format, style));
    }
}
