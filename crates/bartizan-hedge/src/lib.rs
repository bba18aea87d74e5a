//! Hedged requests, as a tower layer, for axum, tonic and reqwest.
//!
//! A request that takes longer than most do is sent once more; the first good answer wins, and the other copy is dropped. It cuts off
//! the tail of latencies for a few percent of extra load.
//!
//! ```
//! use bartizan_hedge::{Hedge, HedgeLayer};
//! use http::{Request, Response};
//! use std::time::Duration;
//! use tower::{Layer, ServiceExt, service_fn};
//! # use std::convert::Infallible;
//! # use std::sync::atomic::{AtomicU32, Ordering};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # static CALLS: AtomicU32 = AtomicU32::new(0);
//! // Hangs once, then answers.
//! let moody = service_fn(|_| async {
//!     if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
//!         std::future::pending::<()>().await;
//!     }
//!     Ok::<_, Infallible>(Response::new(String::from("here")))
//! });
//! let hedge = HedgeLayer::new(Hedge::new().delay(Duration::from_millis(10)));
//! let answer = hedge.layer(moody).oneshot(Request::new(String::new())).await.unwrap();
//! assert_eq!(answer.status(), 200);
//! # }
//! ```
//!
//! # What is hedged
//!
//! What may be repeated: `GET`, `HEAD`, `OPTIONS`, `TRACE`, `PUT`, `DELETE`, requests with an `Idempotency-Key`, and those marked [`Repeatable`]. Never
//! a request that is another attempt already. Bodies and errors need not be `Clone`: of a body up to 64 KiB are kept while it is sent, and all
//! copies read it at the same time.
//!
//! A copy has answered when the head of its answer is here; over gRPC, if the call was sent whole, when its first message is. A failure
//! never wins over a copy that is still on its way, and has the next one sent at once, or after the pause that the server asks for; if
//! that is more than a minute, there are no further copies. If all fail, the last failure that may have
//! reached a server is the answer, with [`FailedCopies`] in the extensions of a response.
//!
//! Where copies hardly ever win, all calls are slow for the same reason, and a copy would make it worse: then only one in 32 of those
//! that are due by a learnt delay is sent, to see whether it is still so.
//!
//! # What it costs
//!
//! Nothing but a copy of the request while calls are answered at once; two readings of the clock and a timer for a call that takes
//! longer. Copies are paid from a purse that successes fill, at most [`extra`](Hedge::extra) of them for each call in the long run; and from
//! the purse of a retry layer around it, if they [share](HedgeLayer::purse) one.
//!
//! # Where it stands
//!
//! Around a client: inside deadline and retry, outside of a breaker, of the time-out of an attempt, and of a balancer, which takes a
//! copy [elsewhere](bartizan_core::Avoid) than the first. A failure is answered by a copy first; a retry around it sees a failure only
//! when all copies have failed.
//!
//! A tonic `Channel` takes one type of body alone: wrap it into `bartizan-client`'s `AnyBody`. A bare `reqwest::Client` is no service
//! of `http::Request`: take `ReqwestService`, or the [typed](HedgeLayer::typed) flavour.
//!
//! # What is shared
//!
//! Everything that is born in [`HedgeLayer::new`]: settings, purse, counts, latencies. Clones of the layer and all services that it
//! makes see the same.

mod counts;
mod events;
mod future;
mod handle;
mod hedge;
mod latencies;
mod layer;
mod observed;
mod race;
mod service;
mod shared;
mod shown;
mod sync;
mod watch;
mod wins;

pub use bartizan_again::{IDEMPOTENCY_KEY, Outcome, Repeatable};
pub use bartizan_core::{Budget, Purse};
pub use counts::Snapshot;
pub use future::{FailedCopies, ResponseFuture};
pub use handle::Handle;
pub use hedge::Hedge;
pub use layer::HedgeLayer;
pub use service::HedgeService;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
