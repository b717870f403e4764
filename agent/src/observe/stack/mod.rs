//! Stacks: from a hook to the site of the current thread's stack.
//!
//! The walk (`walk`) turns a stack into a key within some hundred nanoseconds, and a cache (`keys`)
//! has the sites of keys seen before. GetStackTrace (`capture`) is behind both: for keys that are
//! not in the cache, for frames that the walk does not know, and to test the walk (`self_test`).
//! `frozen` continues the walk of a virtual thread in the heap.
//! Invariant: a site found by the walk is the one that GetStackTrace would lead to.

pub(crate) mod capture;
pub(crate) mod class_loading;
mod code;
mod counts;
mod frozen;
mod keys;
mod layout;
mod self_test;
mod walk;

use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::classes::Classes;
use crate::state::context::Context;
use crate::state::slots::{self, Known, Slot};
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jclass, out_of_memory};
use crate::sys::memory::{Checked, Direct};
use crate::sys::posix;
use capture::{Buffer, Raw};
use counts::Fallback;
use frozen::Frozen;
use keys::KEYS;
use layout::Layout;
use self_test::Structure;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use walk::{Blind, Kinds, Request, Walked, Why, walk};
use zaudit_core::model::{Kind, OutOfMemory, Purpose, SiteId};
use zaudit_core::options::{MAX_DEPTH, Walk};
use zaudit_core::report::{FrozenWalk, StackWalk, WalkState};

/// The layout of this JVM, once it is known.
static LAYOUT: OnceLock<Layout> = OnceLock::new();

/// Why this JVM's stacks cannot be walked.
static UNSUPPORTED: Mutex<Option<String>> = Mutex::new(None);

/// Whether hooks walk: one of the constants below.
static MODE: AtomicU8 = AtomicU8::new(OFF);

/// Every stack comes from GetStackTrace.
const OFF: u8 = 0;
/// Stacks with known keys come from the walk.
const ON: u8 = 1;
/// Every walk is compared with GetStackTrace.
const CHECK: u8 = 2;

/// One of this number of stacks with known keys is compared with GetStackTrace.
const SPOT_CHECK: u64 = 4_096;

/// An audit begins. `any` is any class. `pauses` makes the audit's environment report GC pauses.
pub(crate) fn begin(
    agent: &Agent,
    audit: &Audit,
    jni: Jni,
    any: jclass,
    pauses: impl FnOnce() -> Result<()>,
) {
    counts::begin();
    KEYS.limit(audit.options.memory / 2);
    let wanted = audit.options.walk;
    let mode = match wanted {
        Walk::Off => OFF,
        _ if self_test::failed().is_some() || !is_known(agent, jni, any) => OFF,
        Walk::Auto | Walk::Frozen => ON,
        Walk::Check => CHECK,
    };
    frozen::begin(agent.jvmti, mode != OFF && wanted.has_frozen(), pauses);
    MODE.store(mode, Ordering::Release);
}

/// A GC pause begins. Called by the JVM in the pause.
pub(crate) fn pause_begins() {
    frozen::pause_begins();
}

/// A GC pause ends. Called by the JVM in the pause.
pub(crate) fn pause_ends() {
    frozen::pause_ends();
}

/// The audit counts anew.
pub(crate) fn reset() {
    counts::begin();
}

fn is_known(agent: &Agent, jni: Jni, any: jclass) -> bool {
    let unsupported = match LAYOUT.get() {
        Some(_) => None,
        None => {
            Layout::find(agent.jvmti, jni, any).map(|layout| LAYOUT.get_or_init(|| layout)).err()
        }
    };
    let known = unsupported.is_none();
    *UNSUPPORTED.lock().unwrap_or_else(PoisonError::into_inner) = unsupported;
    known
}

/// What reports and the command `status` say of the walk.
pub(crate) fn health(audit: &Audit) -> StackWalk {
    let unsupported = UNSUPPORTED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (state, reason) = match self_test::failed() {
        _ if audit.options.walk == Walk::Off => (WalkState::Off, None),
        Some(why) => (WalkState::Failed, Some(why.to_owned())),
        None if unsupported.is_some() => (WalkState::Unsupported, unsupported),
        None => (WalkState::On, None),
    };
    let frozen = match state {
        WalkState::On => frozen::state(),
        _ => (WalkState::Off, None),
    };
    let counts = counts::since();
    let (frozen_state, frozen_reason) = frozen;
    StackWalk {
        state,
        reason,
        stacks: counts.all.hits,
        fallbacks: counts.fallbacks().map(|(reason, count)| (reason.into(), count)).collect(),
        compared: counts.all.compared,
        mismatches: counts.all.mismatches,
        frozen: FrozenWalk {
            state: frozen_state,
            reason: frozen_reason,
            stacks: counts.frozen.hits,
            compared: counts.frozen.compared,
            mismatches: counts.frozen.mismatches,
        },
    }
}

/// What the stack of a hook is of.
pub(crate) trait Sites {
    /// The sites that it leads to.
    fn of(&self) -> (Purpose, Kind);
    /// How many frames of ours are above the callback's own.
    fn frames_above(&self) -> usize;
    /// The number of frames that count, if it is not all of them.
    fn end(&self) -> Result<Option<usize>>;
    /// The name of the instance's class if it is a subclass of the audited one.
    fn subclass(&self) -> std::result::Result<Option<String>, OutOfMemory>;
}

/// What a hook knows of its stack without a call into the JVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its site.
    Site(SiteId),
    /// Nothing: ask [`site`].
    Not,
    /// As `Not`; the answer is a check of the walk.
    Check,
}

/// The site of the current thread's stack, which is in a hook, if the walk has seen it before.
/// Calls nothing of the JVM and takes no lock.
#[inline]
pub(crate) fn seen(audit: &Audit, slot: &Slot, jni: Jni, kind: Kind) -> Seen {
    let (ON, Some(layout), Some(version)) =
        (MODE.load(Ordering::Acquire), LAYOUT.get(), audit.redefinitions.settled())
    else {
        return Seen::Not;
    };
    // What is known of a virtual thread comes from the JVM, and so do frozen frames.
    if slot.known() == Known::Carrier {
        return Seen::Not;
    }
    let request = request(audit, (Purpose::Allocation, kind), version, 0);
    let walker = Walker { layout, frozen: None, jni, request };
    match walker.walk().map(|walked| KEYS.get(walked.key)) {
        Ok(Some(site)) if !slot.hit().is_multiple_of(SPOT_CHECK) => Seen::Site(site),
        Ok(Some(_)) => Seen::Check,
        Ok(None) | Err(_) => Seen::Not,
    }
}

/// A number that stands for at least this number of innermost frames of the current thread, which
/// is in a hook. None if the walk does not know them. Calls nothing of the JVM and takes no lock.
pub(crate) fn innermost(audit: &Audit, jni: Jni, frames: usize) -> Option<u64> {
    let (ON, Some(layout)) = (MODE.load(Ordering::Acquire), LAYOUT.get()) else { return None };
    let request = Request { salt: audit.number, frames, trusted: self_test::trusted() };
    let walked = Walker { layout, frozen: None, jni, request }.walk().ok()?;
    Some(walked.key.0)
}

/// The number of the current thread, as the JVM's own thread has it. None where that is not known.
/// Calls nothing of the JVM.
#[inline]
pub(crate) fn running_thread(jni: Jni) -> Option<u64> {
    walk::running_thread(LAYOUT.get()?, jni)
}

/// The site of the current thread's stack, which is in a hook, and has been looked up by [`seen`].
pub(crate) fn site(
    context @ Context { audit, jni, .. }: Context<'_>,
    classes: &Classes,
    sites: &impl Sites,
    seen: Seen,
) -> Result<SiteId> {
    let version = audit.redefinitions.version(jni, classes.redefined);
    let end = sites.end()?;
    let mode = MODE.load(Ordering::Acquire);
    let (None, true, Some(layout)) = (end, mode != OFF, LAYOUT.get()) else {
        return captured(context, classes, sites, end, version, None);
    };
    let request = request(audit, sites.of(), version, sites.frames_above());
    let walker = Walker { layout, frozen: frozen::wanted(), jni, request };
    let walked = walker.walk();
    let fallback = match walked {
        Ok(Walked { key, kinds, .. }) => match KEYS.get(key) {
            Some(site) => {
                // `Check` was counted by `seen`.
                if seen != Seen::Check {
                    let hits = slots::here().map_or(0, Slot::hit);
                    counts::found(kinds);
                    if mode == ON && !hits.is_multiple_of(SPOT_CHECK) {
                        return Ok(site);
                    }
                }
                None
            }
            None => Some(Fallback::New),
        },
        Err(why) => Some(Fallback::Why(why)),
    };
    if let Some(fallback) = fallback {
        note(fallback);
    }
    captured(context, classes, sites, None, version, Some((walker, walked)))
}

#[cold]
fn note(fallback: Fallback) {
    counts::fallback(fallback);
    if let Fallback::Why(why) = fallback {
        self_test::count(why);
        end_if_failed();
    }
}

/// Stops walking once a check has failed.
fn end_if_failed() {
    if self_test::failed().is_some() {
        MODE.store(OFF, Ordering::Release);
    }
}

/// What the key of a stack is of, and how far to walk. The audit is part of it because every audit
/// has sites of its own, and the cache is never emptied.
#[inline(always)]
fn request(audit: &Audit, (purpose, kind): (Purpose, Kind), version: u64, above: usize) -> Request {
    let depth = audit.options.depth;
    let table = (purpose as u64) << 2 | kind as u64;
    Request {
        salt: walk::salt([audit.number, version, depth as u64, table]),
        // One more frame shows whether the stack is cut. A frame of ours may be inlined, so that
        // the key covers a frame more than it must.
        frames: above + depth + 1,
        trusted: self_test::trusted(),
    }
}

/// Walks the current thread's stack.
#[derive(Clone, Copy)]
struct Walker<'a> {
    layout: &'a Layout,
    /// None if frozen frames must not be read. To read them may call the JVM.
    frozen: Option<&'a Frozen>,
    jni: Jni,
    request: Request,
}

impl Walker<'_> {
    #[inline(always)]
    fn walk(self) -> std::result::Result<Walked, Why> {
        walk(self.layout, self.jni, self.frozen, self.request, &mut Direct, &mut Blind)
    }

    /// The same with checked reads, for any kind of frame.
    #[inline(never)]
    fn walk_checked(self) -> std::result::Result<Walked, Why> {
        let request = Request { trusted: Kinds::ALL, ..self.request };
        walk(self.layout, self.jni, self.frozen, request, &mut Checked::new(), &mut Blind)
    }

    /// Whether the physical frames fit the frames of GetStackTrace, and of which kinds they are.
    /// All frames are compared, also those that are not kept.
    #[inline(never)]
    fn fits(self, raw: &Raw<'_>, checked: bool) -> std::result::Result<(bool, Kinds), Why> {
        let (frames, cut) = raw.all();
        let mut structure = Structure::new(frames, cut);
        let request = Request { frames: MAX_DEPTH + 2, ..self.request };
        let walked = if checked {
            let request = Request { trusted: Kinds::ALL, ..request };
            walk(self.layout, self.jni, self.frozen, request, &mut Checked::new(), &mut structure)?
        } else {
            walk(self.layout, self.jni, self.frozen, request, &mut Direct, &mut structure)?
        };
        Ok((structure.fits(walked.complete), walked.kinds))
    }

    /// A key that certainly belongs to the frames of GetStackTrace, `raw`: the walk gave it before,
    /// gives it again now, and all physical frames fit. Code can be deoptimised in between, so that
    /// one walk is not enough.
    #[cold]
    #[inline(never)]
    fn proven(self, before: Before, raw: &Raw<'_>) -> Option<Walked> {
        let Before { walked, checked } = before;
        let before = walked.ok()?;
        let (_, cut) = raw.all();
        // The outermost frames of a list that was cut are not compared, so the stack would make no
        // kind of frame trusted. Checked reads of that many frames take milliseconds.
        if checked && cut {
            return None;
        }
        let again = if checked { self.walk_checked() } else { self.walk() };
        if again != Ok(before) {
            again.err().into_iter().for_each(self_test::count);
            return None;
        }
        let fits = match self.fits(raw, checked) {
            // Beyond the frames that are kept.
            Err(why) if self_test::may_check(why) => self.fits(raw, true),
            fits => fits,
        };
        match fits {
            Ok((true, kinds)) => {
                if !cut {
                    self_test::agreed(kinds);
                }
                Some(before)
            }
            Ok((false, kinds)) => {
                // The frames may have changed while they were walked.
                let again = if checked { self.walk_checked() } else { self.walk() };
                if again == Ok(before) {
                    counts::compared(kinds, false);
                    let reason = "the frames of a stack were not those of GetStackTrace";
                    self_test::fail(kinds, reason.into());
                }
                None
            }
            Err(why) => {
                self_test::count(why);
                None
            }
        }
    }
}

/// A walk before GetStackTrace.
struct Before {
    walked: std::result::Result<Walked, Why>,
    /// Whether it was one with checked reads.
    checked: bool,
}

impl Before {
    fn of(walker: Walker<'_>, walked: std::result::Result<Walked, Why>) -> Before {
        match walked {
            Err(why) if self_test::may_check(why) => {
                let walked = walker.walk_checked();
                walked.err().into_iter().for_each(self_test::count);
                Before { walked, checked: true }
            }
            walked => Before { walked, checked: false },
        }
    }
}

/// How often a stack is captured again because a class was redefined while its names were read.
const MAX_CAPTURES: usize = 4;

/// The site of the current thread's stack, from GetStackTrace. If the stack was walked, its key
/// leads to that site from now on.
#[inline(never)]
fn captured<'a>(
    context @ Context { agent, audit, jni }: Context<'_>,
    classes: &Classes,
    sites: &impl Sites,
    end: Option<usize>,
    mut version: u64,
    mut walked: Option<(Walker<'a>, std::result::Result<Walked, Why>)>,
) -> Result<SiteId> {
    let mut buffer: Buffer = [const { MaybeUninit::uninit() }; _];
    let mut captures_left = MAX_CAPTURES;
    loop {
        let before = walked.map(|(walker, walked)| (walker, Before::of(walker, walked)));
        if let Some((walker, Before { walked: Err(Why::Frozen), .. })) = before {
            frozen::find(context, walker.layout, classes.inflater);
        }
        // Without a key there is nothing to compare with them.
        let all = matches!(before, Some((_, Before { walked: Ok(_), .. })));
        let depth = audit.options.depth;
        let above = sites.frames_above();
        let Request { salt, .. } = request(audit, sites.of(), version, above);
        let raw = capture::capture(agent.jvmti, above, (depth, end), all, salt, &mut buffer)?;
        let proven = before.and_then(|(walker, before)| walker.proven(before, &raw));
        if let Some(site) = KEYS.get(raw.key) {
            enter_key(proven, &raw, site);
            return Ok(site);
        }
        #[cfg(feature = "fault-injection")]
        let _stage = crate::sys::fault_injection::memory("learn");
        let stack = sites
            .subclass()
            .and_then(|subclass| capture::resolve(context, &raw, version, subclass));
        captures_left -= 1;
        // A method's id may have passed to a new version in between, which has other lines.
        let now = audit.redefinitions.version(jni, classes.redefined);
        if captures_left == 0 || now == version {
            let (purpose, kind) = sites.of();
            let learnt = stack.and_then(|stack| audit.session.site(purpose, kind, &stack));
            if let Ok(site) = learnt
                && now == version
            {
                enter_key(proven, &raw, site);
            }
            // Its key is not kept: there may be memory the next time.
            let unlearned = |OutOfMemory| audit.session.unlearned(purpose, kind);
            return learnt.or_else(unlearned).map_err(out_of_memory);
        }
        version = now;
        walked = walked.map(|(walker, _)| {
            let request = request(audit, sites.of(), version, sites.frames_above());
            let walker = Walker { request, ..walker };
            (walker, walker.walk())
        });
    }
}

/// Enters the key of the walk with its site, or else that of the raw stack. A key of the walk that
/// has another site already is a failed check.
fn enter_key(proven: Option<Walked>, raw: &Raw<'_>, site: SiteId) {
    match proven {
        None => KEYS.enter(raw.key, site, posix::coarse_nanos()),
        Some(Walked { key, kinds, .. }) => {
            let agrees = KEYS.get(key).is_none_or(|known| known == site);
            counts::compared(kinds, agrees);
            if agrees {
                KEYS.enter(key, site, posix::coarse_nanos());
            } else {
                self_test::fail(kinds, "the key of a stack had led to another stack".into());
            }
        }
    }
    end_if_failed();
}
