//! The registry: where each instance says that it is there, and finds the others.
//!
//! No call waits for it. Who is asked by it in vain goes on with those that were known last, which are written down, so
//! that an instance which starts meanwhile knows them as well.

mod agent;
mod endpoints;
mod known;
mod presence;
#[cfg(test)]
mod tests;

pub use agent::is_there;
pub use presence::Presence;

use std::time::Duration;

/// How long the registry has for an answer.
const PATIENCE: Duration = Duration::from_millis(300);
