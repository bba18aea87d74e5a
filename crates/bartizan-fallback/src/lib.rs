//! Fallbacks as tower layers, for axum, tonic and reqwest: a value, a function, or the last good answer.
//!
//! A failed call is answered all the same, by something that is worse than a good answer and better than none. Only failures that are
//! [asked for](FallbackOn), and only those of reads: who writes must know whether it was done.
//!
//! ```
//! use bartizan_fallback::{Degraded, Fallback, FallbackLayer, FallbackOn};
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! # use std::convert::Infallible;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let broken = service_fn(|_: Request<String>| async {
//!     Ok::<_, Infallible>(Response::builder().status(503).body(http_body_util::Full::from("out of order")).unwrap())
//! });
//! let layer = FallbackLayer::new(Fallback::new()).value(Response::new("[]"));
//!
//! let answer = layer.layer(broken).oneshot(Request::new(String::new())).await.unwrap();
//! assert_eq!(answer.status(), 200);
//! let degraded = answer.extensions().get::<Degraded>().unwrap();
//! assert_eq!(degraded.failure().outcome().code(), Some(503));
//! # }
//! ```
//!
//! # What is replaced
//!
//! | the request | its failure is replaced |
//! |---|---|
//! | `GET`, `HEAD`, `OPTIONS`, `TRACE` | yes |
//! | any other method, so every gRPC call | if a [rule](FallbackLayer::reads) says that it only reads, or [writes](Fallback::writes) are replaced too |
//! | of any type, in the [typed](FallbackLayer::typed) flavour | if the function says that it only reads |
//!
//! A failure is what the head of the answer says: a status, a gRPC code that is there without a message, the refusal of a layer inside, or an error.
//! A body that fails later, or a code in its trailers, comes too late. Of the failed answer nothing is kept but its [`Failure`]; the body is
//! dropped.
//!
//! What takes its place is a [value](FallbackLayer::value), a [function](FallbackLayer::with) of the failure, an [asynchronous
//! one](FallbackLayer::call), or the answer of [another service](FallbackLayer::forward); something of the request can be [kept](FallbackLayer::key) for it. The
//! answer is marked as [`Degraded`], in its extensions, with the failure. Over gRPC it is a [`Reply::grpc`] or a [`Reply::grpc_status`].
//! A cache on its way knows nothing of this: what it must not keep should say `Cache-Control: no-store`.
//!
//! Should the fallback fail as well, its error goes out. The first failure is behind it: in the extensions of the answer, where that is a failure
//! with a status; as the source of a [`FallbackError`], where the errors of the inner service are boxed. An error type of its own carries what the
//! function puts into it.
//!
//! # Where it stands
//!
//! Outermost, so that it sees what became of a call after all retries, and within the deadline of whoever waits for the answer. It is ready
//! though the inner service is not, and answers at once; a request that gets no fallback waits for the inner service within its call. Switched off,
//! or without failures of that kind among those asked for, it is as ready as the inner service.
//!
//! # Cancel safety
//!
//! A future that is dropped drops the inner call or the asynchronous function that is under way. Nothing runs without its caller.
//!
//! # What is shared
//!
//! All clones and services of one layer share its settings, counts and state; [`Handle`] reads and changes them. The first failure that is replaced
//! is an event, as is the first good answer a second after the last one; one call is but a trace.
//!
//! A call holds that state only if the layer has a name or a handle, a value to give, or a function that is asynchronous or captures something: it costs a
//! clone of an `Arc`. A mere function of the failure costs nothing to speak of, and is not counted.

mod body;
mod counts;
mod events;
mod failure;
mod fallback;
mod future;
mod give;
mod handle;
mod held;
mod http_way;
mod key;
mod later;
mod layer;
mod lost;
mod observed;
mod on;
mod reply;
mod service;
mod shared;
#[cfg(feature = "stale")]
pub mod stale;
mod typed_way;
mod way;

pub use body::FallbackBody;
pub use counts::Snapshot;
pub use failure::{Degraded, Failed, Failure, FallbackError};
pub use fallback::Fallback;
pub use future::ResponseFuture;
pub use give::{Call, Forward, Forwarding, Give, Nothing, Replying, TypedCall, TypedWith, Value, With};
pub use handle::Handle;
pub use http_way::HttpWay;
pub use key::{Keep, KeepHead, KeepOf, Keyed, NoKey};
pub use layer::FallbackLayer;
pub use on::{FallbackOn, Outcome};
pub use reply::{IntoOffer, IntoReply, Reply, Substitute};
pub use service::FallbackService;
#[cfg(feature = "stale")]
pub use stale::{Stale, StaleLayer, StaleService};
pub use typed_way::TypedWay;
pub use way::{Begun, Way};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
