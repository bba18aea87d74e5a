//! The two standard stacks of resilience layers, one before a server and one around a client.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use axum::{Router, routing::get};
//! use bartizan_stack::{ClientLayer, ServerLayer};
//! use tower::{Layer, ServiceExt};
//! # use http::Request;
//! # use axum::body::Body;
//!
//! // One line before a server, a route of it, or a tonic server.
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(ServerLayer::default());
//!
//! // And one around a client: `ReqwestService`, `HyperService`, a tonic channel.
//! # let http = tower::ServiceBuilder::new().map_request(|request: Request<_>| request.map(Body::new)).service(app);
//! let client = ClientLayer::default().layer(http);
//! # let answer = client.oneshot(Request::new(Body::empty())).await.expect("it never fails");
//! # assert_eq!(answer.status(), 200);
//! # }
//! ```
//!
//! # What is in them, and why in this order
//!
//! ```text
//!  request ─▶ deadline ─▶ limit ─▶ shed ─▶ handler
//! ```
//!
//! - The *deadline* is outermost: it bounds whatever follows, refuses at once what has come too late, and what it knows goes on to all calls
//!   that the handler makes.
//! - The *limit* comes before all that costs. It is off unless it is [set](ServerStack::limit).
//! - What *sheds* is next to the handler, so that it measures the handler alone, and by the deadline it knows who would wait in vain.
//!
//! ```text
//!  call ─▶ stale ─▶ deadline ─▶ retry ─▶ hedge ─┬─────────────▶ breaker of the host ─▶ attempt ─▶ client
//!                                 └──┬──────┘   │
//!                                  purse        └─ balance ─┬─▶ breaker ─▶ attempt ─▶ client
//!                                                           └─▶ breaker ─▶ attempt ─▶ client
//! ```
//!
//! - The *last good answer* is outermost: it sees what became of the call after all else was tried. It is off unless it is
//!   [set](ClientStack::stale).
//! - The *deadline* bounds all attempts together, and the waits between them.
//! - The *retry* is outside of the *hedge*: a copy is sent of the first attempt alone. One *purse* pays for both, and successes fill it, so that
//!   together they never add more to the load than its [budget](ClientStack::budget) says.
//! - The *balance* is inside of both, as a further attempt is to go elsewhere. It hands on what the *breaker* of an endpoint refuses.
//! - The deadline of the *attempt* is inside of the breaker. Outside of it, a time-out would look like a caller that left.
//!
//! A stack is a plain value, [`ServerStack`] or [`ClientStack`], and prints as a table. [`check`](ClientStack::check) says what does not fit together:
//!
//! ```
//! use bartizan_stack::{ClientLayer, ClientStack};
//! use std::time::Duration;
//!
//! let layer = ClientLayer::new(ClientStack::new().deadline(Duration::from_millis(500))).named("stock");
//! assert_eq!(layer.to_string(), r#"client stack "stock", outside in
//!   stale     off
//!   deadline  500 ms
//!   retry     2 retries, 100 ms to 1 s, budget 10 %, hints up to 250 ms
//!   hedge     off
//!   balance   none, calls go where they say
//!   breaker   for each host: evidence 25 % to 75 %, open 5 s, 1 probe, ramp 10 s
//!   attempt   500 ms"#);
//!
//! let wrong = ClientStack::new().deadline(Duration::from_secs(2)).attempt(Duration::from_secs(5));
//! let misfit = "attempt.total (5 s) is longer than deadline.total (2 s): no attempt can take as long";
//! assert_eq!(wrong.check().unwrap_err().to_string(), misfit);
//! ```
//!
//! # Changing it while it runs
//!
//! All layers are always in a stack, and one that is off passes everything on. A handle takes over another stack as a whole, or refuses it as a
//! whole; windows, states, permits, tokens and requests in flight stay:
//!
//! ```
//! use bartizan_breaker::Breaker;
//! use bartizan_limit::Limit;
//! use bartizan_stack::{ClientLayer, ServerLayer};
//!
//! # fn main() -> Result<(), bartizan_stack::Misfit> {
//! let (server, client) = (ServerLayer::default().named("shop"), ClientLayer::default().named("stock"));
//! let (server, client) = (server.handle(), client.handle());
//!
//! let limited = server.stack().limit(Limit::per_second(50).burst(200));
//! for difference in server.stack().diff(&limited) {
//!     assert_eq!(difference.to_string(), "limit: off -> 50 per second, burst 200");
//! }
//! server.update(limited)?;
//! client.update(client.stack().breaker(Breaker::new().enabled(false)))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Another stack for a route, or for a call
//!
//! Each route can have a layer of its own, inside of the one for all: the earlier deadline counts.
//!
//! ```
//! use axum::{Router, routing::get};
//! use bartizan_core::Priority;
//! use bartizan_limit::Limit;
//! use bartizan_shed::Shed;
//! use bartizan_stack::{ServerLayer, ServerStack};
//! use std::time::Duration;
//!
//! let reports = ServerStack::new().deadline(Duration::from_secs(5)).shed(Shed::fixed(4)).limit(Limit::per_second(1));
//! let reports = ServerLayer::new(reports)
//!     .limit_by(|head| head.headers.get("x-tenant").cloned())
//!     .priority(|_| Priority::SHEDDABLE);
//! // Who listens to events for hours is not counted among those in flight.
//! let all = ServerLayer::default().exempt(|head| head.uri.path() == "/events");
//!
//! let app: Router = Router::new().route("/report", get(|| async { "a report" }).layer(reports)).layer(all);
//! ```
//!
//! A layer of a client is one stack. Calls that need another have a layer of their own over the same client:
//!
//! ```
//! use bartizan_retry::Retry;
//! use bartizan_stack::{ClientLayer, ClientStack};
//! use std::time::Duration;
//! use tower::Layer;
//!
//! # let http = tower::service_fn(|_: http::Request<String>| async { Ok::<_, std::convert::Infallible>(http::Response::new(String::new())) });
//! let reads = ClientLayer::default().named("stock, reads").layer(http.clone());
//! let writes = ClientStack::new().deadline(Duration::from_secs(10)).retry(Retry::new().enabled(false));
//! let writes = ClientLayer::new(writes).named("stock, writes").layer(http);
//! # let _ = (reads, writes);
//! ```
//!
//! # What is not in them
//!
//! - *A value or a function in place of a failure*, as only the application knows one: a `FallbackLayer` outside of the stack.
//! - *A throttle* for a service that refuses too much, or *a fixed number in flight*: a `ThrottleLayer`, or a `ShedLayer` of `Shed::fixed`, outside of
//!   the stack for calls, or inside of it for attempts.
//! - *Faults on purpose*: a `FaultLayer` before the handler, or innermost around the client.
//! - *Another order*: the layers by themselves. [`ClientLayer::outer`] and [`ClientLayer::each`] are the halves before and behind a balancer.
//!
//! ```
//! use bartizan_shed::{Shed, ShedLayer};
//! use bartizan_stack::ClientLayer;
//! use tower::ServiceBuilder;
//!
//! # let http = tower::service_fn(|_: http::Request<String>| async { Ok::<_, std::convert::Infallible>(http::Response::new(String::new())) });
//! let stack = ServiceBuilder::new()
//!     .layer(ShedLayer::new(Shed::fixed(64)))
//!     .layer(ClientLayer::default())
//!     .service(http);
//! # let _ = stack;
//! ```
//!
//! Where several tiers stand one behind the other, each has a breaker, and one that is open answers 503, which is a failure to the tier before.
//! So an outage is refused as far outside as can be; and of a service that fails half of its calls, hardly any gets through three
//! breakers. A tier whose callers are to see such a service as it is has its breaker off, or a rule that waits for more.
//!
//! # What is shared
//!
//! All clones, services and handles of one layer: the state is born in [`ServerLayer::new`] and [`ClientLayer::new`].
//!
//! A single host has no hedge unless one was [set](ClientStack::hedge): a copy makes sense where it can go elsewhere. A mode that somebody has
//! forced on a breaker by [its handle](ClientHandle::breakers) stays until a stack with another mode comes.

mod balanced;
mod client_fit;
mod client_handle;
mod client_layer;
mod client_parts;
mod client_stack;
mod difference;
mod halves;
mod host;
mod limits;
mod misfit;
mod pairs;
mod server_handle;
mod server_layer;
mod server_stack;
mod table;
mod turn;

pub use balanced::{BalancedLayer, BalancedService};
pub use client_handle::ClientHandle;
pub use client_layer::{ClientLayer, ClientService, HostOf, HostService};
pub use client_stack::ClientStack;
pub use difference::Difference;
pub use halves::{EndpointLayer, EndpointService, OuterLayer, OuterService};
pub use host::Host;
pub use misfit::Misfit;
pub use server_handle::ServerHandle;
pub use server_layer::{ServerLayer, ServerService};
pub use server_stack::ServerStack;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
