//! Bartizan's conformance tests: what the rows share.
//!
//! A row is one test, named by its id, and runs in every [`Mode`] over a [`Probe`].

mod mode;
mod probe;

pub use mode::Mode;
pub use probe::{Probe, Probing, Tally};
