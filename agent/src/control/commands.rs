//! Commands: what each attach to the JVM requests, and the reply.
//!
//! Runs on the thread that attached. Invariant: every command gets a reply, as text where the
//! options say (`reply_file`, else standard error) and as the return code of the attach.

use crate::control::lifecycle::{self, DisarmOutcome};
use crate::control::{preflight, reports};
use crate::observe::stack;
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::context::Context;
use crate::sys::jni::Jni;
use crate::sys::posix;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use zaudit_core::escape;
use zaudit_core::files;
use zaudit_core::model::{Kind, OutOfMemory, Outcome, Trigger};
use zaudit_core::options::{self, Command, Options};
use zaudit_core::report::WalkState;
use zaudit_core::wording::{grouped, some};

/// What was done, or why it failed.
pub(crate) type Answer = Result<String, String>;

/// The return codes of an attach.
pub(crate) const DONE: i32 = 0;
const NOT_DONE: i32 = 1;
pub(crate) const NOT_UNDERSTOOD: i32 = 2;

/// Of an audit that is the first to change classes in a JVM that did not expect it.
const DISCARDED: &str = "note: this JVM compiles its code again now (JDK-8324241), so the program \
     is slower for seconds to a minute, as after a start; the option arm=ready at its start \
     avoids that";

/// Runs a command in a JVM where nothing was armed so far.
pub(crate) fn run_unarmed(command: Command) -> Answer {
    match command {
        Command::Arm | Command::Dump | Command::Reset => Err(NO_AUDIT_YET.into()),
        Command::Status => Ok(format!("version: {}\nstate: disarmed\n", env!("CARGO_PKG_VERSION"))),
        Command::Disarm => Err(NO_AUDIT.into()),
        Command::Help => Ok(options::help()),
    }
}

pub(crate) const NO_AUDIT: &str = "no audit is under way";
const NO_AUDIT_YET: &str = "no audit is under way; arm one first";

/// Runs a command.
pub(crate) fn run(agent: &'static Agent, jni: Jni, command: Command, options: &Options) -> Answer {
    match command {
        Command::Arm => arm(agent, jni, options),
        Command::Dump => {
            with_audit(agent, |audit| reports::on_command(Context { agent, audit, jni }, options))
        }
        Command::Status => Ok(status(agent)),
        Command::Reset => reset(agent),
        Command::Disarm => disarm(agent, jni, options),
        Command::Help => Ok(options::help()),
    }
}

/// Sends the reply of a command to where the options say, and returns the matching return code.
pub(crate) fn reply(answer: &Answer, options: &Options) -> i32 {
    let (Ok(text) | Err(text)) = answer;
    let code = if answer.is_ok() { DONE } else { NOT_DONE };
    send(text, options);
    code
}

/// Sends a text to where the options say.
pub(crate) fn send(text: &str, options: &Options) {
    let text = &*escape::lines(text);
    let Some(path) = &options.reply_file else {
        // A text of several lines ends with a newline; anything else is a message.
        return match text.ends_with('\n') {
            true => posix::write_stderr(text.as_bytes()),
            false => text.lines().for_each(posix::say),
        };
    };
    let mut line = text.trim_end().to_owned();
    line.push('\n');
    if let Err(error) = files::write(path, line.as_bytes()) {
        posix::say(&format!(
            "cannot write the reply to {}: {}; it follows here",
            escape::path(path),
            files::reason(&error)
        ));
        posix::write_stderr(line.as_bytes());
    }
}

fn with_audit(agent: &Agent, body: impl FnOnce(&Audit) -> Answer) -> Answer {
    match agent.hold_audit() {
        Some(audit) => body(&audit),
        None => Err(NO_AUDIT_YET.into()),
    }
}

fn arm(agent: &'static Agent, jni: Jni, options: &Options) -> Answer {
    if let Some(delay) = options.delay {
        return wait_to_arm(agent, jni, delay, options);
    }
    let (expected, problems) = preflight::load_inputs(options);
    let control = agent.control();
    lifecycle::arm(agent, &control, jni, options, expected)?;
    let adopted = agent.hold_audit().as_deref().map(adopted).unwrap_or_default();
    let note = agent.has_discarded_code().then(|| DISCARDED.to_owned());
    let lines = problems.into_iter().chain([format!("armed{adopted}")]).chain(note);
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Arms after a delay.
pub(crate) fn wait_to_arm(
    agent: &'static Agent,
    jni: Jni,
    delay: Duration,
    options: &Options,
) -> Answer {
    let _control = agent.control();
    lifecycle::check_can_arm(agent)?;
    let at =
        Instant::now().checked_add(delay).ok_or("the delay is too long for the system's clock")?;
    lifecycle::prepare(agent, jni)?;
    lifecycle::start_worker(agent, jni, Some((at, options.clone())))?;
    Ok(format!("the audit will start in {delay:?}"))
}

fn adopted(audit: &Audit) -> String {
    let (_, adopted, _) = match audit.sums() {
        Ok(sums) => sums,
        Err(why) => {
            return format!("; the number of instances that were already open is unknown: {why}");
        }
    };
    let found: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| (adopted.get(*kind).counts.created, *kind))
        .filter(|(number, _)| *number > 0)
        .map(|(number, kind)| some(number, kind))
        .collect();
    if found.is_empty() {
        String::new()
    } else {
        format!("; already open: {}", found.join(" and "))
    }
}

fn reset(agent: &'static Agent) -> Answer {
    let _control = agent.control();
    with_audit(agent, |audit| {
        reports::reset(agent, audit)?;
        Ok(format!("counts reset{}", adopted(audit)))
    })
}

fn disarm(agent: &'static Agent, jni: Jni, options: &Options) -> Answer {
    let control = agent.control();
    match lifecycle::disarm(agent, &control, jni, Trigger::Command, Some(options)) {
        DisarmOutcome::Done(Ok(written)) => return Ok(format!("disarmed; {written}")),
        DisarmOutcome::Done(Err(why)) => return Err(format!("disarmed, but {why}")),
        DisarmOutcome::NoReport(why) => return Err(format!("{why}; the audit continues")),
        DisarmOutcome::Busy => {
            return Err(
                "another report is being written, or the JVM is exiting; the audit continues"
                    .into(),
            );
        }
        DisarmOutcome::NotArmed => {}
    }
    if agent.worker.arms_at().is_some() {
        agent.worker.stop(agent.waker());
        return Ok("the pending audit was cancelled".into());
    }
    Err(NO_AUDIT.into())
}

/// One line for each figure that an operator of the process may need.
fn status(agent: &Agent) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key}: {value}");
    };
    line("version", env!("CARGO_PKG_VERSION").into());
    let audit = agent.hold_audit();
    let Some(audit) = audit.as_deref() else {
        line(
            "state",
            match agent.worker.arms_at() {
                _ if agent.is_shut_down() => "shut down".into(),
                Some(at) => {
                    format!(
                        "waiting (arms in {} s)",
                        at.saturating_duration_since(Instant::now()).as_secs()
                    )
                }
                None => "disarmed".into(),
            },
        );
        return text;
    };
    let (now, epoch) = (agent.now(), audit.epoch());
    line("state", "armed".into());
    line("seconds", format!("{:.1}", now.since(epoch.since).as_secs_f64()));
    if let Some(end) = audit.ends_at() {
        line(
            "disarms in",
            format!("{} s", end.saturating_duration_since(Instant::now()).as_secs()),
        );
    }
    let Ok((sums, adopted, sites)) = audit.sums() else {
        line("health", OutOfMemory.to_string());
        return text;
    };
    for kind in Kind::ALL {
        let (sum, adopted) = (sums.get(kind), adopted.get(kind));
        let outcomes = Outcome::ALL
            .map(|outcome| format!(", {} {}", outcome.name(), grouped(sum.of(outcome))))
            .concat();
        line(
            &format!("{}s", kind.noun().to_lowercase()),
            format!(
                "created {}{outcomes}; adopted {}, of them live {}",
                grouped(sum.counts.created),
                grouped(adopted.counts.created),
                grouped(adopted.live)
            ),
        );
    }
    line("sites", grouped(sites as u64));
    line("numbered reports", grouped(u64::from(agent.reports.numbered())));
    line("pause while arming", format!("{:.1} ms", audit.pause().as_secs_f64() * 1e3));
    let gaps = audit.session.gaps();
    let healthy = zaudit_core::session::Gaps { unsettled: None, ..gaps } == Default::default();
    let walk = stack::health(audit);
    let state = |state: WalkState, reason: &Option<String>| match reason {
        Some(reason) => format!("{}: {reason}", state.name()),
        None => state.name().to_owned(),
    };
    line("stack walk", state(walk.state, &walk.reason));
    line("stacks by the walk", grouped(walk.stacks));
    line("walk of frozen frames", state(walk.frozen.state, &walk.frozen.reason));
    line("with frozen frames", grouped(walk.frozen.stacks));
    let fallbacks = walk.fallbacks.iter();
    let reasons: Vec<_> =
        fallbacks.map(|(reason, number)| format!("{reason} {}", grouped(*number))).collect();
    let sum = grouped(walk.fallbacks.values().sum());
    line(
        "stacks by JVMTI",
        if reasons.is_empty() { sum } else { format!("{sum} ({})", reasons.join(", ")) },
    );
    let healthy = healthy && !walk.has_failed();
    line("health", if healthy { "ok" } else { "incomplete; see HEALTH in a report" }.into());
    text
}
