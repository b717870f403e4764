//! The native methods of `zaudit.Queries`, by which Java code of this process reaches the agent.
//!
//! `java/agent` calls them. They run on the program's threads and are guarded as hooks are: no
//! panic crosses them, and what their thread does meanwhile is not audited. A text that they return
//! begins with `+`, or with `-` and the reason why there is no answer. Invariant: taking a mark and
//! what was made since need no GC, no pause, and do not hold up hooks.

use crate::control::{commands, reports};
use crate::observe::guard;
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::context::Context;
use crate::state::marks::Made;
use crate::state::slots;
use crate::sys::allocator;
use crate::sys::jni::{Jni, NativeMethod};
use crate::sys::jvmti::{jclass, jlong, jobject};
use jvmti_bindings::sys::jni::JNIEnv;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt::{self, Write as _};
use std::sync::{Arc, OnceLock};
use zaudit_core::analysis::footprint::Footprint;
use zaudit_core::analysis::rules::Rule;
use zaudit_core::ledger::{Counts, Tally};
use zaudit_core::model::{Kind, OutOfMemory, Outcome, SiteId, Trigger, push};
use zaudit_core::options::Format;
use zaudit_core::report::Report;
use zaudit_core::session::{SiteTally, Snapshot};
use zaudit_instrument::{QUERIES_CLASS, Query, queries_class};

/// What entry points do for Java code, too.
pub(crate) struct Entries {
    /// Runs a command of an attach.
    pub(crate) command: fn(&str) -> Result<String, String>,
    /// Begins what the options of `-javaagent` say.
    pub(crate) load: fn(Jni, &str) -> Result<String, String>,
}

static ENTRIES: OnceLock<&'static Entries> = OnceLock::new();

/// Defines the class, once in a process.
pub(crate) fn define(jni: Jni, entries: &'static Entries) -> Result<(), String> {
    if ENTRIES.set(entries).is_err() {
        return Ok(());
    }
    let name = CString::new(QUERIES_CLASS).map_err(|error| error.to_string())?;
    let class = jni.define_boot_class(&name, &queries_class()).ok_or(
        "cannot define the class for queries; another copy of libzaudit.so is loaded in this JVM",
    )?;
    let registered = jni.register(
        class,
        &Query::ALL.map(|query| NativeMethod {
            name: query.method(),
            descriptor: query.descriptor(),
            function: native(query),
        }),
    );
    jni.delete_local(class);
    if registered {
        Ok(())
    } else {
        Err("JNI RegisterNatives failed for the class for queries".into())
    }
}

/// The function behind a query.
fn native(query: Query) -> *const () {
    match query {
        Query::IsArmed => is_armed as *const (),
        Query::Mark => mark as *const (),
        Query::Release => release as *const (),
        Query::OpenSince => open_since as *const (),
        Query::Answer => answer as *const (),
    }
}

/// Runs the body of a native method.
fn query<T>(env: *mut JNIEnv, body: impl FnOnce(Jni) -> T) -> Option<T> {
    let _busy = slots::busy();
    // SAFETY: the JVM passes its own environment of this thread to a native method.
    let jni = unsafe { Jni::new(env) };
    guard::entry(|| {
        jni.check_exceptions();
        body(jni)
    })
}

/// The audit under way.
fn audit() -> Option<Arc<Audit>> {
    Agent::get()?.hold_audit().filter(|audit| audit.is_counting())
}

/// `boolean isArmed()`
extern "system" fn is_armed(env: *mut JNIEnv, _class: jclass) -> u8 {
    u8::from(query(env, |_| audit().is_some()).unwrap_or(false))
}

/// `long mark()`: negative if no audit is under way.
extern "system" fn mark(env: *mut JNIEnv, _class: jclass) -> jlong {
    let taken = query(env, |_| audit().map(|audit| audit.marks.take()));
    taken.flatten().and_then(|mark| jlong::try_from(mark).ok()).unwrap_or(-1)
}

/// `void release(long)`
extern "system" fn release(env: *mut JNIEnv, _class: jclass, mark: jlong) {
    query(env, |_| {
        if let (Some(audit), Ok(mark)) = (audit(), u64::try_from(mark)) {
            audit.marks.release(mark);
        }
    });
}

/// `String openSince(long)`
extern "system" fn open_since(env: *mut JNIEnv, _class: jclass, mark: jlong) -> jobject {
    answered(env, |jni| {
        let (agent, audit) = under_way()?;
        let marked = u64::try_from(mark).ok().and_then(|mark| audit.marks.since(mark));
        let made = marked.ok_or("the mark is not held: it was released, or the audit has ended")?;
        let made = made.map_err(|why| why.to_string())?;
        // Nothing is open: the usual answer.
        if made.is_empty() {
            return Ok(String::new());
        }
        let context = Context { agent, audit: &audit, jni };
        list(context, &made).map_err(|why| why.to_string())
    })
}

/// `String answer(String, String)`
extern "system" fn answer(
    env: *mut JNIEnv,
    _class: jclass,
    what: jobject,
    argument: jobject,
) -> jobject {
    answered(env, |jni| {
        let (Some(what), Some(argument)) = (jni.text(what), jni.text(argument)) else {
            return Err(
                "the query has no name or no argument, or the process is out of memory".into()
            );
        };
        match what.as_str() {
            "describe" => {
                let (agent, audit) = under_way()?;
                describe(Context { agent, audit: &audit, jni }, &argument)
            }
            "report" => {
                let format = Format::parse(&argument)
                    .map_err(|why| format!("{argument} is no format: it {why}"))?;
                let format = format.unwrap_or(Format::Text);
                if !format.is_text() {
                    return Err(format!("{} is not a format of text", format.name()));
                }
                let (agent, audit) = under_way()?;
                reports::as_text(Context { agent, audit: &audit, jni }, format)
            }
            "totals" => totals(),
            "command" => (entries()?.command)(&argument),
            "load" => (entries()?.load)(jni, &argument),
            _ => {
                Err(format!("{what} is no query; the jar and the agent are of different versions"))
            }
        }
    })
}

fn entries() -> Result<&'static Entries, String> {
    ENTRIES.get().copied().ok_or_else(|| "the agent is not loaded".into())
}

/// Runs the body of a native method that returns a text.
fn answered(env: *mut JNIEnv, body: impl FnOnce(Jni) -> Result<String, String>) -> jobject {
    let text = query(env, |jni| {
        if allocator::is_pressed() {
            return None;
        }
        match body(jni) {
            Ok(text) => jni.string('+', &text),
            Err(why) => jni.string('-', &why),
        }
    });
    text.flatten().unwrap_or(std::ptr::null_mut())
}

fn under_way() -> Result<(&'static Agent, Arc<Audit>), String> {
    let audit = audit().ok_or(commands::NO_AUDIT)?;
    Ok((Agent::get().ok_or(commands::NO_AUDIT)?, audit))
}

/// What of one site is gathered: its instances, in order.
type BySite<'a> = BTreeMap<SiteId, Vec<&'a Made>>;

/// What no rule and no baseline covers, one line for each site and thread.
fn list(context: Context<'_>, made: &[Made]) -> Result<String, OutOfMemory> {
    let audit = context.audit;
    let mut by_site = BySite::new();
    for made in made {
        push(by_site.entry(made.site).or_default(), made)?;
    }
    let of_site = |made: &[&Made]| {
        let with = |outcome| made.iter().filter(|made| made.outcome == outcome).count() as u64;
        let lent =
            made.iter().filter(|made| made.lent && made.outcome != Outcome::Live).count() as u64;
        tally(with, lent)
    };
    let mut sites = Vec::new();
    for (id, made) in &by_site {
        if let Some(site) = audit.session.known(*id) {
            push(&mut sites, SiteTally { site, tally: of_site(made) })?;
        }
    }
    let report = report(context, sites, audit.expected.rules.clone())?;
    let report = match &audit.expected.baseline {
        Some(baseline) => report.against(baseline),
        None => report,
    };
    let mut lines = Lines::default();
    for classified in &report.classification.sites {
        let ids = audit.session.find(&[classified.site.stable_id]);
        let Some(made) = ids.first().and_then(|(_, id)| by_site.get(id)) else { continue };
        let wanted = |lost: bool, most: u64| {
            let alike =
                made.iter().rev().filter(move |made| (made.outcome != Outcome::Live) == lost);
            alike.take(usize::try_from(most).unwrap_or(usize::MAX))
        };
        // Where a maximum or the baseline covers some, the later ones are reported.
        let mut by_thread = BTreeMap::<u64, Vec<&Made>>::new();
        let stats = &classified.stats;
        for made in wanted(true, stats.leaked).chain(wanted(false, stats.suspects)) {
            push(by_thread.entry(made.java_thread).or_default(), made)?;
        }
        for (thread, mut made) in by_thread {
            made.sort_unstable_by_key(|made| made.number);
            line(&mut lines, &classified.site, thread, &made).map_err(|fmt::Error| OutOfMemory)?;
        }
    }
    Ok(lines.0)
}

/// The lines of an answer. Fails when memory runs out.
#[derive(Default)]
struct Lines(String);

impl fmt::Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        self.0.push_str(text);
        Ok(())
    }
}

/// One line of the answer, as `Zaudit.open` in `java/agent` reads it.
fn line(
    to: &mut Lines,
    site: &zaudit_core::stacks::Site,
    thread: u64,
    made: &[&Made],
) -> fmt::Result {
    let field = |to: &mut Lines, text: &str| {
        to.write_char('\t')?;
        let mut harmless = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        harmless.try_for_each(|c| to.write_char(c))
    };
    write!(to, "{:016x}\t{}\t{thread}\t", site.stable_id, word(site.kind))?;
    for (at, made) in made.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(to, "{comma}{}{}", made.number, letter(made.outcome))?;
    }
    field(to, made.first().map_or("", |made| &made.name))?;
    for frame in site.frames() {
        field(to, &frame.class)?;
        field(to, &frame.method)?;
        field(to, frame.file.as_deref().unwrap_or_default())?;
        let line = frame.line.and_then(|line| i32::try_from(line).ok()).unwrap_or(-1);
        write!(to, "\t{line}")?;
    }
    to.write_char('\n')
}

/// A kind as Java code knows it: the class, but for entry streams.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::ZipEntry => kind.name(),
        Kind::Inflater | Kind::Deflater => kind.noun(),
    }
}

/// Stands behind the number of an instance.
fn letter(outcome: Outcome) -> char {
    match outcome {
        Outcome::Late => 'l',
        Outcome::Collected => 'c',
        Outcome::Ended | Outcome::Live => 'o',
    }
}

/// The numbers of a site where `with` gives those with an outcome.
fn tally(with: impl Fn(Outcome) -> u64, lent: u64) -> Tally {
    let (late, collected, live) =
        (with(Outcome::Late), with(Outcome::Collected), with(Outcome::Live));
    let created = late + collected + live;
    let counts = Counts { created, late, collected, lost_lent: lent, ..Counts::default() };
    Tally { counts, live, ..Tally::default() }
}

fn report(
    Context { agent, audit, .. }: Context<'_>,
    sites: Vec<SiteTally>,
    rules: Vec<Rule>,
) -> Result<Report, OutOfMemory> {
    let snapshot = Snapshot { taken: agent.now(), sites, ..Snapshot::default() };
    let process = reports::process(agent, audit, Trigger::Command, None);
    Report::new(process, Footprint::default(), &snapshot, rules, Arc::default())
}

/// The findings that these instances are: a line has a site, a tab, a letter, a tab, and how many.
fn describe(context: Context<'_>, which: &str) -> Result<String, String> {
    let mut wanted = BTreeMap::<u64, BTreeMap<char, u64>>::new();
    for line in which.lines() {
        let mut fields = line.split('\t');
        let site = fields.next().and_then(|site| u64::from_str_radix(site, 16).ok());
        let letter = fields.next().and_then(|letter| letter.chars().next());
        let number = fields.next().and_then(|number| number.parse().ok());
        let (Some(site), Some(letter), Some(number)) = (site, letter, number) else {
            return Err(
                "the query is malformed; the jar and the agent are of different versions".into()
            );
        };
        let sum: &mut u64 = wanted.entry(site).or_default().entry(letter).or_default();
        *sum = sum.saturating_add(number);
    }
    let stable_ids: Vec<u64> = wanted.keys().copied().collect();
    let found = context.audit.session.find(&stable_ids);
    let mut sites = Vec::new();
    for (stable_id, id) in found {
        let numbers = wanted.get(&stable_id);
        let with =
            |outcome| numbers.and_then(|n| n.get(&letter(outcome))).copied().unwrap_or_default();
        if let Some(site) = context.audit.session.known(id) {
            sites.push(SiteTally { site, tally: tally(with, 0) });
        }
    }
    let report = report(context, sites, Vec::new()).map_err(|why| why.to_string())?;
    let text = report.findings_as_text().map_err(|why| why.to_string())?;
    Ok(text.trim_matches('\n').to_owned())
}

/// A line for each kind: its name, what was created, each outcome; the adopted ones with `+`.
fn totals() -> Result<String, String> {
    let (_, audit) = under_way()?;
    let (sums, adopted, sites) = audit.sums().map_err(|why| why.to_string())?;
    let mut text = format!("sites {sites}\n");
    for (sign, all) in [("", &sums), ("+", &adopted)] {
        for kind in Kind::ALL {
            let tally = all.get(kind);
            let _ = write!(text, "{sign}{} {}", word(kind), tally.counts.created);
            for outcome in Outcome::ALL {
                let _ = write!(text, " {}", tally.of(outcome));
            }
            text.push('\n');
        }
    }
    Ok(text)
}
