//! The JVM's side: the only room with `unsafe`, and nobody above names it.
//!
//! Turns JVMTI and JNI into calls of [`crate::session`], and reports into files. Every entry from the JVM goes
//! through [`guard`]; every return code is looked at. Invariant: no JVMTI or JNI function is called and no I/O is
//! done while a lock of the session is held.
//!
//! In reading order: [`entry`] (loading, arming, events) · [`hooks`] (the two natives) · [`capture`] (stacks) ·
//! [`thread`] (who acts) · [`worker`] (the agent's own thread, requests, the free queue) · [`gather`] (collections
//! before a report) · [`publish`] (a report on its way out) · [`guard`] · [`agent`] (what they share) · [`classes`]
//! (what is looked up once) · [`env`] and [`os`] (thin covers over C).

mod agent;
mod capture;
mod classes;
mod entry;
mod env;
#[cfg(feature = "fault-injection")]
mod fault;
mod gather;
mod guard;
mod hooks;
mod os;
mod publish;
mod thread;
mod worker;
