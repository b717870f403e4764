//! Entry points, the life of an audit, commands, reports, and the agent's own thread.

mod archives;
mod commands;
mod entry;
mod lifecycle;
mod preflight;
mod queries;
mod reports;
mod worker;
