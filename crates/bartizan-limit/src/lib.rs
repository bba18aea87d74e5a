//! Rate limits as a tower layer, for axum, tonic and reqwest: exact, keyed, bounded.
//!
//! ```
//! use axum::{Router, routing::get};
//! use bartizan_limit::{Limit, LimitLayer};
//!
//! let limit = LimitLayer::new(Limit::per_second(50).burst(200)).named("hello");
//! let handle = limit.handle();
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(limit);
//! assert_eq!(handle.snapshot().remaining, 200);
//! ```

mod address;
mod admit;
mod bucket;
mod common;
mod denial;
mod event;
mod fields;
mod handle;
mod keyed;
mod layer;
mod limit;
mod line;
mod pace;
mod pass;
mod plain;
mod price;
#[cfg(feature = "redis")]
mod redis;
mod shard;
mod shelf;
mod store;
mod sync;
mod waiting;

#[cfg(feature = "redis")]
pub use self::redis::{DEFAULT_PREFIX, RedisStore};
pub use address::{Address, DEFAULT_IPV6_PREFIX, Subnet};
pub use admit::{Keyed, Limiting, Single};
pub use handle::{KeyedHandle, KeyedSnapshot};
pub use layer::{DEFAULT_MAX_KEYS, LimitLayer, LimitService};
pub use limit::Limit;
pub use pass::Pass;
pub use plain::{Handle, Snapshot};
pub use price::{Cost, Exempt, One, Price};
pub use store::{
    Ask, Asking, DEFAULT_TIME_OUT, Shared, SharedHandle, SharedLimitLayer, SharedLimitService, Store,
    StoreError, Told, Verb,
};
pub use waiting::{Wait, Waiting, WaitingLayer, WaitingService};

use std::time::Duration;

/// A duration in nanoseconds; what is longer than 584 years is that.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
