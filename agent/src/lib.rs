//! `libzaudit.so`: a JVMTI agent that audits every `java.util.zip.Inflater` and `Deflater`.
//!
//! It records where each instance was created, whether the program called `end()`, and what became
//! of the instances that it did not end. The library has no public Rust API: it exports
//! `Agent_OnLoad` and `Agent_OnAttach`.
//!
//! ```text
//!    <init> returns             end() is entered          the GC frees an instance
//!          │                           │                              │
//!   observe::hooks             observe::hooks              observe::events (pushes onto a queue)
//!          ▼                           ▼                              ▼
//!   observe::capture: stack    observe::threads: caller    control::worker: the agent's thread
//!          │                           │                              │
//!          ▼                           ▼                              ▼
//!   Session::record_created ─▶ Session::record_ended           Session::record_freed
//!          └── stacks (which site) · ledger (which instance, which outcome) ──┐
//!                                                                             ▼
//!   exit, signal, command ▶ control::reports ▶ Session::snapshot ▶ analysis ▶ report ▶ files
//! ```
//!
//! Each floor may name the floors below it, never one above, and modules form no cycle:
//! `control` → `inspect` → `observe` → `state` → `sys`. `tests/tests/tidy.rs` checks that against
//! `tests/modules.txt`; `ARCHITECTURE.md` explains the decisions.

mod sys;
mod state;
mod observe;
mod inspect;
mod control;
