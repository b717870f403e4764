//! Analyses that a report may request: footprints, paths to GC roots, a forced GC.

pub(crate) mod footprint;
pub(crate) mod gc;
pub(crate) mod gc_roots;
