//! `libzaudit.so`: a JVMTI agent that audits every `java.util.zip.Inflater` and `Deflater`.
//!
//! It records where each instance was created, whether the program called `end()`, and what became
//! of the instances that it did not end. The library has no public Rust API: it exports
//! `Agent_OnLoad` and `Agent_OnAttach`.
//!
//! ```text
//!    init() has returned the address          end(address) is about to be called
//!                 │                                          │
//!          observe::hooks                             observe::hooks
//!                 ▼                                          ▼
//!          observe::stack: site                       observe::threads: role
//!                 │                                          │
//!                 ▼                                          ▼
//!          Ledger::created                            Ledger::ended, Ledger::freed
//!                 └── by address, on the thread's own counts ┘
//!                                      │
//!   exit, signal, command ▶ control::reports ▶ Audit::snapshot ▶ analysis ▶ report ▶ files
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
