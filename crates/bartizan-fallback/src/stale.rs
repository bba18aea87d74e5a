//! The last good answer in place of a call that fails: stale-if-error, stale-while-revalidate, and one call for equal reads at once.
//!
//! ```
//! use bartizan_fallback::{Degraded, Stale, StaleLayer};
//! use http::{Request, Response};
//! use tower::{Layer, Service, ServiceExt, service_fn};
//! # use std::convert::Infallible;
//! # use std::sync::atomic::{AtomicU32, Ordering};
//! # use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # static CALLS: AtomicU32 = AtomicU32::new(0);
//! // Answers once, and fails from then on.
//! let moody = service_fn(|_| async {
//!     let status = if CALLS.fetch_add(1, Ordering::Relaxed) < 1 { 200 } else { 503 };
//!     Ok::<_, Infallible>(Response::builder().status(status).body(String::new()).unwrap())
//! });
//! let layer = StaleLayer::new(Stale::new().if_error(Duration::from_secs(600)));
//! let mut pages = layer.layer(moody);
//!
//! let get = || Request::get("http://stock/apples").body(String::new()).unwrap();
//! let first = pages.ready().await.unwrap().call(get()).await.unwrap();
//! assert!(first.extensions().get::<Degraded>().is_none());
//! # tokio::time::advance(Duration::from_secs(7)).await;
//!
//! // Seven seconds later.
//! let stale = pages.ready().await.unwrap().call(get()).await.unwrap();
//! assert_eq!((stale.status().as_u16(), &stale.headers()["age"]), (200, &"7".parse().unwrap()));
//! assert_eq!(stale.headers()["cache-status"], "bartizan; fwd=stale; fwd-status=503; ttl=-7");
//! assert!(stale.extensions().get::<Degraded>().is_some());
//! # }
//! ```
//!
//! # What is kept
//!
//! Good answers to `GET` and `HEAD` that a cache may keep which serves all callers alike (RFC 9111 §3); a 5xx or 429 is none. The rest goes
//! through as it is:
//!
//! | not kept | because of |
//! |---|---|
//! | other methods, gRPC, requests with a body, `Range`, `Upgrade`, `If-Match`, `If-Unmodified-Since`, `If-Range` | the request |
//! | a name or a password in the URI | the request |
//! | `no-store` | the request or the answer |
//! | `private`, `no-cache`, `Set-Cookie`, `Vary: *`, `Content-Range`, `Trailer`, event streams, gRPC | the answer |
//! | an answer to a request with `Authorization`, unless it says `public`, `s-maxage` or `must-revalidate` (§3.5) | both |
//! | an answer to a request with `Cookie` that neither says `public`, `max-age`, `s-maxage` or `stale-…`, nor varies on it | both |
//! | 206, 304, and statuses that are not cacheable by default, unless they say for how long | the status |
//! | what a layer inside refused, or put in place of a failure | its extensions |
//! | a body that broke off, has another length than it said, has trailers, is too large, or was not read to its end | the body |
//!
//! Nonsense in fields allows less, never more. Nothing is guessed: an answer that says nothing of its freshness is stale at once, and of use only
//! within the limits of the [`Stale`] value. What could be served at no time is not kept.
//!
//! An answer is kept under method, scheme, authority and `Host`, path and query, what [`StaleLayer::key`] adds, and the fields of its request
//! that its `Vary` names. The request is seen as it comes: what layers further in put into it, such as a token of its caller, has to be in the
//! key. **Behind [`nest`], axum cuts the prefix off the path:** a layer inside of two nested routers would take their pages for the same. Put it
//! around the router, give each a layer of its own, or add the prefix to the key.
//!
//! A write that succeeded outdates what is kept of its target (§4.4), also an answer that is under way.
//!
//! [`nest`]: https://docs.rs/axum/latest/axum/struct.Router.html#method.nest
//!
//! # When it is served
//!
//! | what is kept is | and | then |
//! |---|---|---|
//! | fresh | [`fresh`](Stale::fresh), or it may be served while it is refreshed | it is served without a call |
//! | stale for less than [`while_revalidate`](Stale::while_revalidate) or `stale-while-revalidate` say | the answer to this request may be kept in its place | it is served at once, and refreshed in the background |
//! | fresh, or stale for less than [`if_error`](Stale::if_error) or `stale-if-error` say | the call fails | it is served in place of the failure |
//! | the same | the last call failed, and the [pause](Stale::refresh_backoff) is not over | it is served without a call |
//!
//! Where value and answer both set a limit, the lesser counts. After `must-revalidate`, `proxy-revalidate` or `s-maxage` nothing is ever served stale.
//! A request may narrow this, by `no-cache`, `max-age`, `min-fresh`, `max-stale=…` and `stale-if-error`, and widens nothing; with `only-if-cached`
//! it is answered with 504 where it would have to go out.
//!
//! What is served has `Age`, and `Cache-Status` (RFC 9211). In place of a failure it has [`Degraded`](crate::Degraded) in its extensions, with the
//! failure as its cause. A call that goes out asks by `ETag` and `Last-Modified` of what is kept; a 304 renews that.
//!
//! **Pauses.** A pause begins when a stale answer was served in place of a failure, or a refresh has failed, and is of that one answer. It ends with
//! its time, or with a call that succeeds. When its time is over one call goes out; while that is under way the pause goes on for as long again. It
//! never keeps a read from going out for which nothing can be served.
//!
//! **Refreshes.** A read that is served at once goes out in a task of its own, one for each answer and [`max_refreshes`](Stale::max_refreshes) in all. Its
//! [`Context`](bartizan_core::Context) has the caller's priority and attempt, and [`lease`](Stale::lease) as its deadline, after which it is dropped.
//!
//! **Equal reads at once**, with [`coalesce`](Stale::coalesce): of one key, equal in what the last answer varied on, and in whether they have
//! `Authorization` or `Cookie`. The first goes out, the others sleep. Once its answer is whole they share it, if it may be kept and is one to them
//! as well; otherwise, and after a failure, all of them go out at once. With `Authorization` or `Cookie` nothing is shared but what is fresh or
//! says `public`. If the first is dropped, panics, drops the body, takes longer than the lease, or was refused by a layer inside, one of the others
//! takes its place; who has waited for two leases goes out. What is there of a body is read ahead of a first caller that reads slowly; beyond that
//! the lease is the bound. Nobody waits for a target whose last answer could not be shared.
//!
//! # Where it stands
//!
//! Around a client: outside of the deadline, so that an answer is there when the time is up. On a server: around handlers whose answers are for everybody.
//! It is always ready, as it does not know before a request comes whether it needs the inner service; a clone of that is made ready for each call that goes
//! out. It asks for `S: Clone + Send + 'static`, as a refresh outlives its caller.
//!
//! # Cancel safety
//!
//! A future or a body that is dropped gives back what it took. A lease goes to the next who waits. A refresh goes on.
//!
//! # What is shared
//!
//! What is kept, settings, counts, leases and dice: all clones of a layer and all services that it makes see the same.

mod age;
mod ahead;
mod body;
mod cache_status;
mod condition;
mod counts;
mod directives;
mod entry;
mod events;
mod fields;
mod flights;
mod future;
mod handle;
mod key;
mod layer;
mod lease;
mod observed;
mod outcome;
mod plan;
mod read;
mod record;
mod refresh;
mod reuse;
mod service;
mod shared;
mod storable;
mod store;
mod trouble;
mod value;
mod vary;
mod write;

pub use body::StaleBody;
pub use counts::Snapshot;
pub use future::ResponseFuture;
pub use handle::Handle;
pub use layer::StaleLayer;
pub use service::StaleService;
pub use value::Stale;
