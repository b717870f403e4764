//! zaudit: who made this `Inflater`, and did anybody call `end()`?
#![deny(unsafe_code)]

pub mod event;
pub mod options;

pub mod classfile;
pub mod instrument;

pub mod ledger;
pub mod session;
pub mod stacks;

pub mod classify;
pub mod suppress;

pub mod dump;
pub mod report;

#[expect(unsafe_code, reason = "the JVM's interfaces are C")]
mod jvm;
