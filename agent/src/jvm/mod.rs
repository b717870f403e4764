//! The JVM's side: the only room with `unsafe`, and nobody above names it.
//!
//! Turns JVMTI and JNI into calls of [`zaudit_core::session`], and reports into files. Every entry from the JVM goes
//! through [`guard`]; every return code is looked at. Invariant: no JVMTI or JNI function is called and no I/O is
//! done while a lock of the session is held.
//!
//! In reading order: [`entry`] (what the JVM calls) · [`archives`] (starts at which we stand aside) · [`command`] (what an attach asks) · [`preparation`], [`arming`],
//! [`search`] (an audit begins and ends) · [`agent`], [`audit`] (what they share, and for how long) · [`hooks`] (the
//! natives) · [`capture`] (stacks) · [`redefinition`] (which version of the classes they are of) · [`thread`] (who acts), by the
//! [`outermost`] frames · [`tag`] · [`worker`] and [`bell`] (the agent's own thread) · [`reserve`] (memory when there is none) ·
//! [`gather`] (collections before a report), [`freed`] (what they freed) · [`retention`] (who keeps live ones) · [`publish`] (a report on its way out), [`zlib`] (what a stream
//! costs) · [`guard`] · [`classes`] (what is
//! looked up once) · [`env`], [`jni`] and [`os`] (thin covers over C).

mod agent;
mod archives;
mod arming;
mod audit;
mod bell;
mod capture;
mod classes;
mod command;
mod entry;
mod env;
#[cfg(feature = "fault-injection")]
mod fault;
mod freed;
mod gather;
mod guard;
mod hooks;
mod jni;
mod os;
mod outermost;
mod preparation;
mod publish;
mod redefinition;
mod reserve;
mod retention;
mod search;
mod tag;
mod thread;
mod worker;
mod zlib;
