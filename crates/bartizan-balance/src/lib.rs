//! Load balancing over endpoints that are well, as a tower layer, for axum, tonic and reqwest.
//!
//! Each call goes to the endpoint that is expected to answer soonest, and none to one that is ill. There is no queue and no worker on
//! the way of a call: a snapshot of the set, a few atomics, and the endpoint's own service.
//!
//! ```
//! use bartizan_balance::{Balance, BalanceService, Health};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use std::convert::Infallible;
//! use tower::{ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! // Two servers, by their names; in place of tonic's channels, or of stacks that end in them.
//! let balance = BalanceService::new(Balance::new(), |name: &&'static str| {
//!     let name = *name;
//!     service_fn(move |_: Request<String>| async move { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(name))) })
//! })
//! .named("product")
//! .members(["blue", "green"]);
//!
//! let handle = balance.handle();
//! handle.drain(&"blue");
//! let answer = balance.oneshot(Request::new(String::new())).await.expect("it never fails");
//! # use http_body_util::BodyExt;
//! assert_eq!(answer.into_body().collect().await.expect("nor does its body").to_bytes(), "green");
//! assert_eq!(handle.snapshot().endpoints[0].state(), "draining");
//! # }
//! ```
//!
//! # Two forms
//!
//! - [`BalanceService`]: each endpoint has a service of its own, made by a function when the endpoint comes. For tonic channels, and for
//!   stacks of layers that end in a client.
//! - [`BalanceLayer`]: one HTTP client for all of them, whose requests get the scheme and the authority of the endpoint;
//!   [`each`](BalanceLayer::each) puts layers around it for each endpoint. For `ReqwestService` and `HyperService`.
//!
//! Services must be `Send` and `Sync`; one that is not `Sync` can be wrapped into tower's `BoxCloneSyncService`. A bare
//! `reqwest::Client` is no service of `http::Request`: take `ReqwestService`, or [`typed`](BalanceService::typed) over clients.
//!
//! # Where it stands
//!
//! Around a client: inside deadline, retry and hedge, which it tells where a call went, so that a [copy](bartizan_core::Avoid) goes
//! elsewhere; outside of what belongs to one endpoint, its breaker and the deadline of an attempt. A time-out outside of the balancer is a
//! caller that left: then an endpoint is at most slow, but never at fault.
//!
//! A call that an endpoint's own stack refuses, as a breaker does that is open, is given back and goes to the next endpoint at once; the
//! answer is a refusal only if all refuse.
//!
//! # How one is chosen
//!
//! By [`Choice`], whichever is set. By default the endpoint with the least (latency + penalty) × (calls in flight + 1) gets the call. So who
//! makes one call at a time stays with the fastest, and many at once spread by how fast each is; for even turns take
//! [`Choice::RoundRobin`].
//!
//! - *In flight* is a call until the end of its body.
//! - *Latency* is an average of good answers, to their heads, with a [memory](Balance::memory) of ten seconds. Calls that were given up later
//!   than that count as so long. An endpoint of which nothing is known is asked by one call at first.
//! - *Penalty* comes of failures. Each endpoint has a suspicion, the log-likelihood ratio of one that fails every other call to one
//!   that fails as calls do here, half as often again allowed for; A. Wald, *Sequential Analysis*, 1947. The penalty is the chance that it is ill by that,
//!   times the longest of a second, ten mean latencies, and the time that the call took. A good answer takes 70 % of it away. So one
//!   failure in a hundred calls does not banish an endpoint, and one that fails fast is left after one or two.
//! - All of it fades while nothing is heard of an endpoint, so that it is tried again.
//!
//! # Who gets no calls
//!
//! - Whom *heartbeats* find unwell, by [`Change::Health`]: `bartizan-discover` makes them.
//! - Whom [`Ejection`] has thrown out for a while: five failures in a row, or significantly more than the others. At most a tenth
//!   of the endpoints, though one in any case, and none while many of the others fail too.
//! - Who *drains*: by discovery, by a handle, by heartbeats (`NOT_SERVING`), or by the header [`ENDPOINT_DRAINING`] in an answer. What it has
//!   begun it ends. A connection that is closed by `GOAWAY` is no sign of this: who calls into it gets an error that a retry resends.
//! - Whose service is *broken*: its `poll_ready` failed. It is made anew after a second.
//!
//! While fewer than [half](Balance::panic_threshold) are left, all but those that drain are used; and where all drain, they are.
//!
//! # Where endpoints come from
//!
//! From a list, [`members`](BalanceLayer::members); from any stream of [`Change`]s, [`discover`](BalanceLayer::discover); from a handle.
//! An equal set changes nothing, and who stays keeps all that is known of it. An error of a stream is an event, and the last good set
//! serves on. Without endpoints a call is refused at once with 503 or `UNAVAILABLE`, or
//! [waits](Balance::wait_for_endpoints) for the first.
//!
//! # What is shared
//!
//! Everything that is born with the balancer: members, what is known of them, ejections, counts. Clones see the same.

mod balance;
mod book;
mod choice;
mod common;
mod counts;
mod ejection;
mod events;
mod fleet;
mod float;
mod future;
mod handle;
mod layer;
mod normal;
mod observed;
mod permit;
mod pool;
mod pump;
mod reach;
mod reason;
mod ring;
mod search;
mod seat;
mod seen;
mod service;
mod set;
mod shown;
mod sight;
mod tiers;
mod turns;
mod way;

pub use balance::Balance;
pub use bartizan_core::{Change, Health, Member};
pub use choice::{Choice, RingHash};
pub use ejection::{Cause, Ejection, Ejections, Excess, FailureRatio, Slowness, SuccessRate};
pub use fleet::Key;
pub use future::ResponseFuture;
pub use handle::{EndpointSnapshot, Handle, Snapshot};
pub use layer::BalanceLayer;
pub use permit::Permit;
pub use reach::{Own, Reach, Through};
pub use service::BalanceService;
pub use way::{ENDPOINT_DRAINING, HashRequest, HttpWay, Judged, NoHash, TypedWay, Way};

#[doc(no_inline)]
pub use futures_core::Stream;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
