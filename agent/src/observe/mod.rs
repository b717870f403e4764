//! What happens in the program: constructors, `end()`, stacks and threads, freed instances, adopted ones.

pub(crate) mod adoption;
pub(crate) mod capture;
pub(crate) mod events;
pub(crate) mod guard;
pub(crate) mod hooks;
pub(crate) mod outermost;
pub(crate) mod threads;
