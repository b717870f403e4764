//! What is done: loading and attaching, arming and disarming, commands, reports, the agent's own thread.

mod archives;
mod commands;
mod entry;
mod lifecycle;
mod preflight;
mod reports;
mod worker;
