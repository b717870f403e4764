//! Sessions of any sites with any names in any state.

use crate::documents::NAMES;
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use zaudit_core::analysis::footprint::Footprint;
use zaudit_core::analysis::history::History;
use zaudit_core::analysis::rules::Rule;
use zaudit_core::model::{Actor, Frame, Kind, Nanos, Role, Stack, ThreadId, Trigger};
use zaudit_core::report::{Process, Report};
use zaudit_core::testing::Recording;

/// A name that a class file may have.
pub fn name(input: &mut Unstructured<'_>) -> Result<String> {
    Ok(match input.int_in_range(0..=15)? {
        0 => String::arbitrary(input)?,
        _ => (*input.choose(&NAMES)?).to_owned(),
    })
}

fn frame(input: &mut Unstructured<'_>) -> Result<Frame> {
    let named = Frame::named(&name(input)?, &name(input)?);
    let line = if bool::arbitrary(input)? { Some(u32::arbitrary(input)?) } else { None };
    let file = if bool::arbitrary(input)? { Some(name(input)?) } else { None };
    // A name that is empty is written as none.
    let file = file.filter(|name| !name.is_empty());
    Ok(Frame { file, line, jdk: bool::arbitrary(input)?, ..named })
}

fn stack(input: &mut Unstructured<'_>) -> Result<Stack> {
    let frames = (0..input.int_in_range(0..=5)?).map(|_| frame(input)).collect::<Result<_>>()?;
    let subclass = Some(name(input)?).filter(|name| !name.is_empty());
    Ok(Stack { frames, truncated: bool::arbitrary(input)?, subclass })
}

/// Records what the input describes; it ends where the input does.
fn record(session: &Recording, history: &mut History, input: &mut Unstructured<'_>) -> Result<()> {
    let (mut sites, mut ids, mut now) = (Vec::new(), Vec::new(), 0_u64);
    for _ in 0..input.int_in_range(1..=6)? {
        let kind = *input.choose(&Kind::ALL)?;
        let site = session.learn(kind, stack(input)?).expect("room for a site");
        session.name_thread(site, name(input)?);
        sites.push(site);
    }
    while !input.is_empty() {
        now += u64::from(u16::arbitrary(input)?) << input.int_in_range(0..=30)?;
        let at = Nanos(now);
        let thread = ThreadId(input.int_in_range(1..=3)?);
        let nothing = session.id();
        match input.int_in_range(0..=11)? {
            0..=3 => {
                let id = session.id();
                session.record_created(id, *input.choose(&sites)?, thread, at).expect("room");
                ids.push(id);
            }
            4 => {
                let id = session.id();
                session.record_adopted(id, *input.choose(&Kind::ALL)?, at).expect("room");
                ids.push(id);
            }
            5 | 6 => {
                let roles = [Role::Program, Role::Reclaimer, Role::StreamFinalizer];
                let actor = Actor { thread, role: *input.choose(&roles)? };
                let id = *input.choose(&ids).unwrap_or(&nothing);
                session.record_ended(id, actor, at);
            }
            7 | 8 => session.record_freed(*input.choose(&ids).unwrap_or(&nothing), at),
            9 => {
                let kind = *input.choose(&Kind::ALL)?;
                let site = session.learn_double_end(kind, stack(input)?).expect("room for a site");
                session.record_double_end(site).expect("room");
                session.record_unknown_end(kind);
            }
            10 => {
                let snapshot = session.snapshot(at, Duration::ZERO).expect("room");
                history.record(&snapshot).expect("room");
            }
            _ => {
                session.record_dropped("no tag");
                session.record_unreadable("a name");
                session.set_missing_hooks("x", vec![name(input)?]);
                session.set_unsettled(Some(name(input)?));
            }
        }
    }
    Ok(())
}

/// The report of a session that the input describes, with these rules.
pub fn report(input: &mut Unstructured<'_>, rules: Vec<Rule>) -> Report {
    let session = Recording::default();
    let mut history = History::default();
    let process = process(input).unwrap_or_default();
    // An input that ends early describes a shorter session.
    let _ = record(&session, &mut history, input);
    let taken = Nanos(1 << 60);
    let snapshot = session.snapshot(taken, Duration::from_secs(1)).expect("room");
    history.record(&snapshot).expect("room");
    Report::new(process, Footprint::default(), &snapshot, rules, Arc::new(history)).expect("room")
}

fn process(input: &mut Unstructured<'_>) -> Result<Process> {
    let started = UNIX_EPOCH + Duration::from_millis(u32::arbitrary(input)?.into());
    Ok(Process {
        pid: u32::arbitrary(input)?,
        jvm: name(input)?,
        command: name(input)?,
        options: name(input)?,
        started,
        taken: started + Duration::from_millis(u32::arbitrary(input)?.into()),
        from_start: bool::arbitrary(input)?,
        trigger: *input.choose(&[Trigger::Exit, Trigger::Command])?,
        number: if bool::arbitrary(input)? { Some(u32::arbitrary(input)?) } else { None },
        rss_bytes: if bool::arbitrary(input)? { Some(u32::arbitrary(input)?.into()) } else { None },
        ..Process::default()
    })
}
