//! Spans and W3C trace context as a tower layer, for axum, tonic and reqwest.
//!
//! A server goes on with the trace of its caller, a client hands it on: one trace from the first request to the last, by the
//! headers `traceparent` and `tracestate` and without a line of user code. Spans are those of `tracing`: a log shows them as
//! they are, and with the feature `opentelemetry` they are exported under the ids that the headers have.
//!
//! ```
//! use axum::{Router, routing::get};
//! use bartizan_trace::{Trace, TraceContext, TraceLayer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let own = || async { TraceContext::current().map(|context| context.trace_id().to_string()).unwrap_or_default() };
//! let app: Router = Router::new().route("/", get(own)).layer(TraceLayer::new(Trace::new()));
//!
//! let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
//! let request = http::Request::builder().header("traceparent", caller).body(axum::body::Body::empty()).unwrap();
//! let answer = app.oneshot(request).await.unwrap();
//! let body = axum::body::to_bytes(answer.into_body(), 100).await.unwrap();
//! assert_eq!(body, "4bf92f3577b34da6a3ce929d0e0e4736");
//! # }
//! ```
//!
//! # Where it stands
//!
//! - **Before a handler**, the default: outermost, so that its span has what every other layer refuses. A `traceparent` that does not
//!   follow its grammar begins a new trace, and is counted.
//! - **Before a client**, [`outgoing`](TraceLayer::outgoing): inside of retry, hedge and balancer, where each attempt is a span of its own, with
//!   the number of the attempt and the endpoint; or around a client that has none of these.
//! - **Around a client's stack**, [`around`](TraceLayer::around): one span for the whole call, whose children the attempts are.
//!
//! Whose child a span is: of the ambient [`TraceContext`]; else of what the request's headers say; else it begins a trace. A task
//! that is spawned inherits nothing: wrap it in [`TraceContext::scope`], and its spans with
//! `tracing::Instrument`. A message that was taken out of a queue is a [`Job`].
//!
//! # What spans have
//!
//! Target `bartizan_trace`, level `INFO`; `request` on a server, `call` on a client, `job`.
//!
//! | field | what | where |
//! |---|---|---|
//! | `otel.name` | `GET /orders/{id}`, by the [route](TraceLayer::route); `GET`; `shop.v1.Stock/Reserve` | all |
//! | `otel.kind` | `server`, `client`, `internal`, `consumer` | all |
//! | `otel.status_code` | `ERROR`: a 5xx, for a client a 4xx as well; an error; a gRPC code that says so | all |
//! | `error.type` | the status or gRPC code that is an error, the type of the error, a refusal's kind, `cancelled`, `panic` | all |
//! | `trace_id`, `span_id` | as in the headers | all |
//! | `name` | the layer's [name](TraceLayer::named) | layers |
//! | `http.request.method`, `http.route`, `http.response.status_code` | of gRPC a client has the status alone | HTTP, gRPC |
//! | `rpc.system`, `rpc.service`, `rpc.method`, `rpc.grpc.status_code` | | gRPC |
//! | `url.path` | only if it is [asked for](Trace::paths) | HTTP, gRPC |
//! | `server.address`, `server.port` | by the request's target | clients |
//! | `endpoint` | what follows the slash in the layer's name, else the address | clients |
//! | `attempt` | which attempt of a call it is, copies of a hedge counted; the first is 0 | `outgoing` |
//! | `hedge` | which copy it is that a hedge sent beside the first | `outgoing` |
//! | `refused.layer`, `refused.name`, `refused.reason` | which layer said no, and why | all |
//!
//! Never a header, a query, a body or a user.
//!
//! A caller can say of any path that it is a gRPC method. So a server's span is one of HTTP until the answer is gRPC, and has the names of the method
//! only if that is neither refused nor `UNIMPLEMENTED`: nobody can make it take names that no service has.
//!
//! Listen to level `INFO`: the spans of HTTP/2, at `DEBUG` and `TRACE`, begin within the one of the call that opened the connection, and a span
//! does not end before those inside it do.
//!
//! # What it costs
//!
//! Where nobody listens, no allocation but the one of the outgoing header. Who is called then hears of the caller's span, as if this
//! service were not there.
//!
//! # Cancel safety
//!
//! Dropping the future or the body ends the span. Nothing else is held.
//!
//! # What is shared
//!
//! All clones and services of one layer share its settings and counts; [`Handle`] reads and changes them. What is ambient on a thread,
//! the [`TraceContext`], is global.

#[cfg(not(feature = "opentelemetry"))]
#[path = "alone.rs"]
mod otel;
#[cfg(feature = "opentelemetry")]
mod otel;

mod body;
mod call;
mod context;
mod events;
pub mod future;
mod handle;
mod ids;
mod job;
mod layer;
mod parent;
mod service;
mod shared;
mod span;
mod state;
mod trace;

pub use body::TraceBody;
pub use context::TraceContext;
pub use handle::{Handle, Snapshot};
pub use ids::{SpanId, TraceId};
pub use job::Job;
pub use layer::TraceLayer;
pub use service::TraceService;
pub use trace::Trace;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
