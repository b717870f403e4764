//! What is looked up for a report: footprints, paths to GC roots, a forced GC.

pub(crate) mod footprint;
pub(crate) mod gc;
pub(crate) mod gc_roots;
