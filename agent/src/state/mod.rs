//! What hooks find: the agent of this process, the audit that is under way, and what these have. Data and locks.

pub(crate) mod agent;
pub(crate) mod audit;
pub(crate) mod classes;
pub(crate) mod frame_roles;
pub(crate) mod free_queue;
pub(crate) mod redefinitions;
pub(crate) mod report_slot;
pub(crate) mod tags;
pub(crate) mod worker_handle;
