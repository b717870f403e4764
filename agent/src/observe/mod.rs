//! Observes the program: constructors, `end()`, stacks, threads, freed instances, adoption.

pub(crate) mod adoption;
pub(crate) mod events;
pub(crate) mod guard;
pub(crate) mod hooks;
pub(crate) mod hooks_by_tag;
pub(crate) mod lending;
mod marking;
mod sites;
pub(crate) mod stack;
pub(crate) mod threads;
pub(crate) mod zipfs;
