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
//!
//! One bucket for each client, by its [`Address`], or for whatever a function finds in the request:
//!
//! ```
//! use bartizan_limit::{Limit, LimitLayer};
//!
//! let by_token = LimitLayer::new(Limit::per_second(5))
//!     .exempt(|head| head.method == "OPTIONS")
//!     .key(|head| head.headers.get("authorization").cloned());
//! ```
//!
//! A client that keeps to the limit of the server it calls, by [`waiting`](LimitLayer::waiting) for its turn:
//!
//! ```
//! use bartizan_limit::{Limit, LimitLayer};
//! use std::time::Duration;
//!
//! let polite = LimitLayer::new(Limit::per_second(10)).waiting(Duration::from_millis(500), 100);
//! ```
//!
//! One limit for several processes, in Redis by the feature `redis`, or in a [`Store`] of one's own:
//!
//! ```
//! # #[cfg(feature = "redis")]
//! # fn main() -> Result<(), bartizan_limit::StoreError> {
//! use bartizan_limit::{Limit, LimitLayer, RedisStore};
//!
//! let redis = RedisStore::open("redis://127.0.0.1/")?;
//! let shared = LimitLayer::new(Limit::per_second(100)).named("api").store(redis);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "redis"))]
//! # fn main() {}
//! ```
//!
//! # What it promises
//!
//! - Every decision is that of an exact bucket of tokens, to the nanosecond: in no span of time is more let through than the burst and what
//!   comes back in that span. A refusal tells the very nanosecond at which the next request of its cost is let through, if nobody else
//!   comes, and takes nothing.
//! - A request under one limit costs a clock reading and one read-modify-write; with a key its hash and the lock of one of many shards
//!   beside. It allocates nothing.
//! - The number of keys is bounded, and so is the work for each call. A key leaves when its bucket is full, and so is forgiven nothing; if
//!   none can, new keys share one bucket. Keys that are idle leave while calls come in, and their memory with them.
//! - Only a monotonic clock decides. Who waits holds a place that comes back when it is dropped.
//! - Nothing that a stranger sends gives it another bucket, as long as what the [key](LimitLayer::key) is made of is not the stranger's
//!   to choose.
//!
//! # What it refuses
//!
//! A [`Refused`](bartizan_core::Refused) of kind `Exhausted`: 429 in HTTP, code 8 in gRPC. It never reached the service, and its reason is
//! one of these.
//!
//! | reason | when | `retry_after` |
//! |---|---|---|
//! | `over the limit` | there are too few tokens | until there are enough |
//! | `costs more than the burst` | no bucket will ever hold as many | none: it will never pass |
//! | `would wait too long` | [waiting](LimitLayer::waiting): its turn would come after `max_wait`, or after its deadline | until its turn |
//! | `too many waiting` | [waiting](LimitLayer::waiting): `max_waiting` wait already | until its turn |
//!
//! # What it tells
//!
//! Over HTTP a refusal has these header fields, and with [`announce`](LimitLayer::announce) every other answer has the last two.
//!
//! | field | says |
//! |---|---|
//! | `Retry-After` | `retry_after` in whole seconds, rounded up (RFC 9110) |
//! | `RateLimit-Policy` | `"name";q=200;w=4`: a burst of 200, which comes back within 4 s, rounded up |
//! | `RateLimit` | `"name";r=149;t=1`: 149 tokens are left, and all are back within 1 s. Of a refusal `r` is 0, and `t` what `Retry-After` says |
//!
//! The last two are of draft-ietf-httpapi-ratelimit-headers-10; the name is `default` where the limit has none. Over gRPC a refusal has
//! `grpc-retry-pushback-ms`.
//!
//! To `tracing` it tells new settings, that new keys find no room and find it again, that a [store](LimitLayer::store) is gone and back; never a
//! key. The handle's snapshot has the numbers, with refusals by reason. A named limit is in the [registry](bartizan_core::registry), where
//! it is steered as by its handle.
//!
//! # What is shared
//!
//! Everything: a layer, its clones and all services made by it have one bucket, or one set of them, born in [`LimitLayer::new`]. With a
//! [store](LimitLayer::store) several processes share them.

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
#[cfg(all(test, bartizan_loom))]
mod loom_models;
mod pace;
mod pass;
mod plain;
mod price;
#[cfg(feature = "redis")]
mod redis;
mod refusals;
mod settings;
mod shard;
mod shelf;
mod shown;
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
pub use refusals::Refusals;
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
