//! A report on its way out: settle, snapshot, judge, render, write.
//!
//! Runs on the agent's own thread, and on the thread of VMDeath for the last report. Invariant: a report that
//! cannot be written to its file is written to standard error.

use super::agent::Agent;
use super::env::Jni;
use super::{gather, os};
use crate::dump;
use crate::event::Trigger;
use crate::options::Format;
use crate::report::{Process, Report};
use crate::suppress::Rule;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Reports are made one after the other, and those on demand are numbered.
#[derive(Default)]
pub(super) struct Turn {
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Default)]
struct State {
    busy: bool,
    over: bool,
    number: u32,
}

/// How long the last report waits for one on demand that is just being written.
const LAST_WAITS: Duration = Duration::from_secs(10);

impl Turn {
    /// The number of a report on demand; none once the last report was begun.
    fn begin(&self) -> Option<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.over || state.busy {
            return None;
        }
        state.busy = true;
        state.number += 1;
        Some(state.number)
    }

    fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).busy = false;
        self.free.notify_all();
    }

    /// Keeps further reports from starting, and waits for one under way. A report that hangs (a full pipe that
    /// nobody reads) does not keep the program from ending.
    fn last(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.over = true;
        drop(self.free.wait_timeout_while(state, LAST_WAITS, |state| state.busy));
    }
}

/// A report on demand.
pub(super) fn on_demand(agent: &Agent, jni: Jni, trigger: Trigger) {
    if let Some(number) = agent.publishing.begin() {
        publish(agent, jni, trigger, Some(number));
        agent.publishing.end();
    }
}

/// The last report.
pub(super) fn last(agent: &Agent, jni: Jni) {
    agent.publishing.last();
    publish(agent, jni, Trigger::Exit, None);
}

fn publish(agent: &Agent, jni: Jni, trigger: Trigger, number: Option<u32>) {
    #[cfg(feature = "fault-injection")]
    super::fault::dump();
    let mut unsettled = if agent.options.gc { gather::collect(agent, jni) } else { None };
    if let Err(error) = super::entry::deliver_pending(agent) {
        unsettled = Some(format!("pending frees were not delivered: {error}; garbage may be called live"));
    }
    agent.drain();
    if agent.options.gc && trigger == Trigger::Exit {
        unsettled = unsettled.or_else(|| gather::count_survivors(agent));
    }
    agent.session.unsettled(unsettled);
    let snapshot = agent.session.snapshot(agent.now());
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
    write(agent, &Report::new(process, &snapshot, Rule::built_in()), number);
}

fn write(agent: &Agent, report: &Report, number: Option<u32>) {
    let style = os::stderr_style();
    let Some(pattern) = &agent.options.file else {
        return os::write_stderr(&report.render(agent.options.format, style));
    };
    let path = |number| pattern.path(report.process.pid, report.process.taken, number);
    let path = if dump::is_special(&path(None)) { path(None) } else { path(number) };
    let bytes = report.render(agent.options.format, crate::report::Style::default());
    if let Err(error) = dump::write(&path, &bytes) {
        let why = dump::reason(&error);
        os::say(&format!("cannot write {}: {why}; the report follows here", path.display()));
        os::write_stderr(&report.render(Format::Text, style));
    }
}
