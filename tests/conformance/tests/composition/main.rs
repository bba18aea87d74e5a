//! The rows about several layers, C01 to C10, as far as the layers exist.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod contract;
mod disabled;
mod outermost;
mod policy;
mod refusals;
mod replay;
mod retries;
mod traits;
