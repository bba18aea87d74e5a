//! The registry: where each instance says that it is there, and finds the others.

mod agent;

pub use agent::is_there;
