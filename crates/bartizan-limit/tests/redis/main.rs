//! The store in Redis. Most of it asks a real one, and is run by
//!
//! ```sh
//! .ci/servers redis -- cargo test -p bartizan-limit --features redis --test redis -- --include-ignored
//! ```
//!
//! or with a `REDIS_URL` of one's own. Each test has buckets of its own, and leaves none behind for longer than a minute.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod bucket;
mod layer;
mod line;
mod server;
