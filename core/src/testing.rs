//! For tests and benchmarks of this workspace: a session and its ledger on one thread.

use crate::ledger::{Ledger, NotEntered, ThreadCounts};
use crate::model::{Actor, InstanceId, Kind, Nanos, OutOfMemory, SiteId, ThreadId};
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
            .snapshot(taken, min_age, |tallies, since| self.ledger().tally(own, tallies, since))
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
