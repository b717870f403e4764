//! For tests and benchmarks of this workspace: a session and its ledger on one thread.

use crate::ledger::{Ledger, NotEntered, ThreadCounts};
use crate::model::{Actor, InstanceId, Kind, Nanos, OutOfMemory, Purpose, SiteId, Stack, ThreadId};
use crate::session::{Session, Snapshot};
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A session that is recorded and read by one thread at a time.
#[derive(Debug, Default)]
pub struct Recording {
    session: Session,
    ledger: Mutex<Ledger>,
    own: ThreadCounts,
}

impl Default for Session {
    /// A session with room for all that a test makes.
    fn default() -> Self {
        Session::with_room(64 << 20)
    }
}

impl Session {
    /// The site of instances with this stack.
    pub fn learn(&self, kind: Kind, stack: Stack) -> Result<SiteId, OutOfMemory> {
        self.learn_of(Purpose::Allocation, kind, stack)
    }

    /// The site of further calls of `end()` with this stack.
    pub fn learn_double_end(&self, kind: Kind, stack: Stack) -> Result<SiteId, OutOfMemory> {
        self.learn_of(Purpose::DoubleEnd, kind, stack)
    }

    fn learn_of(
        &self,
        purpose: Purpose,
        kind: Kind,
        Stack { frames, truncated, subclass }: Stack,
    ) -> Result<SiteId, OutOfMemory> {
        let frames: Result<_, _> = frames.into_iter().map(|frame| self.frame(frame)).collect();
        self.site(purpose, kind, &Stack { frames: frames?, truncated, subclass })
    }
}

impl Deref for Recording {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Recording {
    /// An id for a new instance.
    pub fn id(&self) -> InstanceId {
        Ledger::next_id()
    }

    /// As [`Ledger::created`].
    pub fn record_created(
        &self,
        id: InstanceId,
        site: SiteId,
        thread: ThreadId,
        now: Nanos,
    ) -> Result<bool, OutOfMemory> {
        let enter = |ledger: &Ledger| ledger.created(&self.own, id, site, thread, now);
        self.with_room(enter).map(|created| created.wants_name)
    }

    /// As [`Ledger::adopted`].
    pub fn record_adopted(
        &self,
        id: InstanceId,
        kind: Kind,
        now: Nanos,
    ) -> Result<(), OutOfMemory> {
        self.with_room(|ledger| ledger.adopted(&self.own, id, kind, now))
    }

    /// As [`Ledger::ended`].
    pub fn record_ended(&self, id: InstanceId, by: Actor, now: Nanos) -> bool {
        self.ledger().ended(&self.own, id, by, || now)
    }

    /// As [`Ledger::freed`].
    pub fn record_freed(&self, id: InstanceId, now: Nanos) {
        self.ledger().freed(id, now);
    }

    /// As [`Session::snapshot`].
    pub fn snapshot(&self, taken: Nanos, min_age: Duration) -> Result<Snapshot, OutOfMemory> {
        let own = [&self.own].into_iter();
        self.session
            .snapshot(taken, min_age, |tallies, since| self.ledger().tally(own, tallies, since).0)
    }

    fn with_room<T>(
        &self,
        enter: impl Fn(&Ledger) -> Result<T, NotEntered>,
    ) -> Result<T, OutOfMemory> {
        let mut ledger = self.ledger();
        match enter(&ledger) {
            Ok(entered) => return Ok(entered),
            Err(NotEntered::OutOfMemory) => return Err(OutOfMemory),
            Err(NotEntered::Full) => ledger.grow([&self.own].into_iter())?,
        }
        enter(&ledger).map_err(|_| OutOfMemory)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
