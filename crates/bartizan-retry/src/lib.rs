//! Retries that never make it worse, as a tower layer, for axum, tonic and reqwest.
//!
//! A failed request is sent again, after a wait with jitter, if that can do no harm: it may be repeated, or it never arrived. What retries may
//! cost is paid from a purse that successes fill, so that they stop by themselves while nothing succeeds.
//!
//! ```
//! use bartizan_retry::{Retry, RetryLayer};
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! # use std::convert::Infallible;
//! # use std::sync::atomic::{AtomicU32, Ordering};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # static CALLS: AtomicU32 = AtomicU32::new(0);
//! // Fails once, then answers.
//! let moody = service_fn(|_| async {
//!     let status = if CALLS.fetch_add(1, Ordering::Relaxed) < 1 { 503 } else { 200 };
//!     Ok::<_, Infallible>(Response::builder().status(status).body(String::new()).unwrap())
//! });
//! let answer = RetryLayer::new(Retry::new()).layer(moody).oneshot(Request::new(String::new())).await;
//! assert_eq!(answer.unwrap().status(), 200);
//! # }
//! ```
//!
//! # What is repeated
//!
//! | the request | after a failure | after a proof that it never arrived |
//! |---|---|---|
//! | `GET`, `HEAD`, `OPTIONS`, `TRACE`, `PUT`, `DELETE` | again, if the purse pays | again at once, once for free |
//! | has an `Idempotency-Key`, or is marked [`Repeatable`] | the same | the same |
//! | any other | never | the same |
//!
//! Where it is proven again after that, the request goes on as one that may be repeated. Proof is a refused connection, HTTP/2's `REFUSED_STREAM`, or a `GOAWAY` that names an earlier stream. It is found in boxed errors, in those of
//! `bartizan-client`, and in types of which [`recognise`](bartizan_core::recognise) was told: over a tonic channel say
//! `recognise::<tonic::transport::Error>()` once.
//!
//! Over gRPC every call is a `POST`, and none is repeated but what never arrived, unless it is said: put [`Repeatable`] into the
//! extensions of the `tonic::Request`, or set a rule by path with [`repeat`](RetryLayer::repeat).
//!
//! Bodies and errors need not be `Clone`. Of a body up to 64 KiB are kept while it is sent; a longer one goes out untouched, and once.
//! There is no way back once the head of a good answer is here; over gRPC, of a call that may be repeated and has been sent whole, once
//! the first message is here. An event stream or a subscription that says nothing for a while should not be marked: its head is
//! held back until then.
//!
//! # Where it stands
//!
//! Around a client: inside the deadline of the whole call, outside of hedges, balancers, breakers and the time-out of an attempt. A
//! hedge inside answers a failure with a copy at once; a retry follows when its copies have failed as well. A breaker
//! that is open is waited for, if it opens again before the deadline. The number of an attempt travels, in `x-request-attempt` and in the
//! [`Context`](bartizan_core::Context), and only one tier of several retries. The next attempt carries an [`Avoid`](bartizan_core::Avoid), by which a
//! balancer takes it elsewhere.
//!
//! It goes onto any service of `http::Request<B>` that takes bodies of any type, as an axum route and `ReqwestService` do. A tonic
//! `Channel` takes one type of body alone: wrap it into `bartizan-client`'s `AnyBody`. A bare `reqwest::Client` is no service of
//! `http::Request`: take `ReqwestService`, or the [typed](RetryLayer::typed) flavour.
//!
//! # What is shared
//!
//! Everything that is born in [`RetryLayer::new`]: settings, purse, counts, dice. Clones of the layer and all services that it makes
//! see the same.

mod allowance;
mod backoff;
mod counts;
mod course;
mod events;
mod future;
mod handle;
mod later;
mod layer;
mod observed;
mod retry;
mod retry_on;
mod service;
mod shared;
mod shown;

pub use allowance::Allowance;
pub use backoff::{Backoff, Jitter};
pub use bartizan_again::{IDEMPOTENCY_KEY, Repeatable};
pub use bartizan_core::{Budget, Purse};
pub use counts::Snapshot;
pub use future::ResponseFuture;
pub use handle::Handle;
pub use layer::RetryLayer;
pub use retry::{MaxRetries, Retry};
pub use retry_on::RetryOn;
pub use service::RetryService;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
