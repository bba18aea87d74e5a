//! Fallbacks as tower layers, for axum, tonic and reqwest: a value, a function, or the last good answer.

mod on;

pub use on::{FallbackOn, Outcome};
