//! What every service is made of and none of them owns.

pub mod ask;
pub mod auth;
pub mod body;
pub mod buckets;
pub mod bus;
pub mod clock;
pub mod config;
pub mod failure;
pub mod faults;
pub mod health;
pub mod heartbeat;
pub mod id;
pub mod metrics;
pub mod outbox;
pub mod peer;
#[cfg(feature = "planted")]
pub mod planted;
pub mod policy;
pub mod problem;
pub mod process;
pub mod registry;
pub mod serve;
pub mod store;
pub mod switches;
pub mod tls;
pub mod traces;
