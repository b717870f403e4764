//! Observes the program: constructors, `end()`, stacks, threads, freed instances, adoption.

pub(crate) mod adoption;
pub(crate) mod events;
pub(crate) mod guard;
pub(crate) mod hooks;
pub(crate) mod lending;
pub(crate) mod outermost;
pub(crate) mod stack;
pub(crate) mod threads;
