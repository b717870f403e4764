//! What hooks find: the agent of this process, the running audit, and their parts. Data and locks.

pub(crate) mod agent;
pub(crate) mod audit;
mod cache;
pub(crate) mod classes;
pub(crate) mod context;
pub(crate) mod frame_names;
pub(crate) mod frame_roles;
pub(crate) mod free_queue;
mod gate;
pub(crate) mod marks;
pub(crate) mod redefinitions;
pub(crate) mod report_slot;
pub(crate) mod slots;
pub(crate) mod tags;
pub(crate) mod worker_handle;
