//! zaudit: who made this `Inflater`, and did anybody call `end()`?
//!
//! An agent for the JVM (`java -agentpath:…/libzaudit.so`) that follows every `java.util.zip.Inflater` and
//! `Deflater` from its constructor to `end()`, and reports those that were never ended with the stack that made
//! them. Its public names are for its own tests; users see options and reports.
//!
//! ```text
//!           <init> returns          end() begins            the collector frees
//!                 │                      │                          │
//!   jvm::hooks ───┤                      │          jvm::entry ─────┤ (a push onto a queue)
//!                 ▼                      ▼                          ▼
//!   jvm::capture: the stack   jvm::thread: who calls    jvm::worker: the agent's thread
//!                 │                      │                          │
//!                 ▼                      ▼                          ▼
//!   session::created ─────────▶ session::ended                session::freed
//!                 └── stacks (which site) · ledger (which instance, what became of it) ──┐
//!                                                                                        ▼
//!   exit, signal, command, interval ▶ jvm::publish ▶ session::snapshot ▶ growth ▶ classify ▶ places ▶ hints ▶ report ▶ dump
//! ```
//!
//! A room names only those above it in this list; `tests/tests/tidy.rs` checks that, and `ARCHITECTURE.md`
//! beside `src/` says why each is as it is.
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "the JVM's interfaces are C")]
mod jvm;
