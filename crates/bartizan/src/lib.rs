//! Resilience layers for axum, tonic and reqwest: they keep a service standing while the services around it fail.
//!
//! Each is a tower [`Layer`](https://docs.rs/tower-layer/latest/tower_layer/trait.Layer.html), and goes straight onto an
//! axum router or route, a tonic server or channel, a reqwest or hyper client. Errors keep their type: a refusal is answered
//! as a response, problem+json over HTTP and trailers-only over gRPC. State belongs to the layer, so that it counts over
//! all connections.
//!
//! ```
//! # #[cfg(all(feature = "reqwest", feature = "stack"))]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, extract::State, routing::get};
//! use bartizan::client::ReqwestService;
//! use bartizan::{Client, ClientLayer, ServerLayer, ServerStack};
//! use std::time::Duration;
//! use tower::Layer;
//!
//! # let stock = Router::new().route("/stock", get(|| async { "3 left" }));
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let upstream = format!("http://{}", listener.local_addr()?);
//! # tokio::spawn(async { axum::serve(listener, stock).await });
//! // A client: what fails is asked again where that does no harm, and a server that fails is soon not called for a while.
//! let layer = ClientLayer::default().named("stock");
//! println!("{layer}"); // which layers, outside in, and their values
//! let stack = layer.layer(ReqwestService::new(reqwest::Client::builder().no_proxy().build()?));
//! let client = Client::new(stack).base_url(upstream.parse()?).boxed();
//!
//! // A server: the call to the stock has what is left of these two seconds, without a line that says so.
//! async fn page(State(client): State<Client>) -> String {
//!     match client.get("stock").send().await {
//!         Ok(answer) => answer.text().await.unwrap_or_default(),
//!         Err(_) => "ask us for the stock".into(),
//!     }
//! }
//! let app: Router = Router::new()
//!     .route("/", get(page))
//!     .layer(ServerLayer::new(ServerStack::new().deadline(Duration::from_secs(2))))
//!     .with_state(client);
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let url = format!("http://{}", listener.local_addr()?);
//! # tokio::spawn(async { axum::serve(listener, app).await });
//! # let http = ReqwestService::new(reqwest::Client::builder().no_proxy().build()?);
//! # assert_eq!(Client::new(http).get(url).send().await?.text().await?, "3 left");
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "reqwest", feature = "stack")))] fn main() {}
//! ```
//!
//! # The standard stacks
//!
//! | stack | outside in |
//! |---|---|
//! | [`ServerLayer`] | deadline → limit → shed → handler |
//! | [`ClientLayer`] | last good answer → deadline → retry → hedge → breaker → attempt → client |
//! | [`ClientLayer`] over several endpoints | last good answer → deadline → retry → hedge → balance → for each: breaker → attempt → client |
//!
//! Each part is a value, which can be changed before and while it runs; `check` says which two of them do not fit together. A policy file, the
//! feature `policy`, sets them from outside of the program; [all its
//! settings](https://docs.rs/bartizan-policy/latest/bartizan_policy/docs/settings/) are on one page. Whoever wants other layers, or in another
//! order, takes them one by one.
//!
//! # The layers
//!
//! | layer | what it does | where |
//! |---|---|---|
//! | [`BreakerLayer`] | refuses at once while the service behind it fails, and probes until it is well | around a client, a channel, a handler that calls out |
//! | [`DeadlineLayer`] | bounds head and body by one instant, which travels to every call made inside | outermost on a server; with `outgoing` around a client |
//! | [`RetryLayer`] | sends what failed again, if that can do no harm and successes have paid for it | around a client, inside the deadline of the whole call |
//! | [`HedgeLayer`] | sends a copy of what takes longer than most, and takes the first good answer | around a client, inside the retry |
//! | [`BalanceLayer`] | sends a call to the endpoint that is expected to answer soonest, and none to one that is ill | around a client, inside retry and hedge; `BalanceService` over channels or stacks |
//! | [`ShedLayer`] | refuses what would come too late, the least important first, or what is beyond a fixed number in flight | a server, inside the deadline; with a fixed number around a client |
//! | [`LimitLayer`] | refuses what is more than a caller's share, by address, header or any key | a server, outside of what costs |
//! | [`FallbackLayer`] | answers by a value, a function or another service where a read has failed | outermost around a client |
//! | [`StaleLayer`] | answers a read that has failed as the last time that it was good | outermost around a client, inside a fallback |
//! | [`ThrottleLayer`] | stops asking a server that refuses too much | around a client |
//! | `MeterLayer` | counts and times calls, for metrics and the console | outermost on a server; innermost around a client |
//! | `TraceLayer` | makes a span of every call, and one trace of all that a request leads to, by W3C trace context | outermost on a server; with `outgoing` innermost around a client, `around` outermost |
//! | `FaultLayer` | fails on purpose, once it is told that it may | where the failure would come from: before a handler, innermost around a client |
//!
//! Around a client the breaker is outside and the deadline inside: there a time-out is a failure, which the breaker counts. A
//! time-out outside of the breaker looks to it like a caller that left.
//!
//! The first `layer` of a `ServiceBuilder` and of a tonic server is the outermost; of an axum router or route, it is the last.
//! Several layers on one axum route go into one `ServiceBuilder`: with a `layer` each, the compiler cannot tell the error type between them.
//!
//! # Features
//!
//! | feature | gives | default |
//! |---|---|---|
//! | `balance` | `BalanceLayer` and `BalanceService`, [`balance`] | on |
//! | `breaker` | `BreakerLayer`, [`breaker`] | on |
//! | `deadline` | `DeadlineLayer`, [`deadline`] | on |
//! | `fallback` | `FallbackLayer` and `StaleLayer`, [`fallback`] | on |
//! | `hedge` | `HedgeLayer`, [`hedge`] | on |
//! | `limit` | `LimitLayer`, [`limit`] | on |
//! | `retry` | `RetryLayer`, [`retry`] | on |
//! | `shed` | `ShedLayer` and `ThrottleLayer`, [`shed`] | on |
//! | `stack` | `ServerLayer` and `ClientLayer`, [`stack`], and the layers in them | on |
//! | `policy` | `policy`: the standard stacks from a file that can be changed while they run | off |
//! | `config` | the same from a config server | off |
//! | `console` | `console`: every named layer on a live page, as JSON and as a stream | off |
//! | `discover` | `discover`: endpoints by DNS or from a file, heartbeats over TCP and HTTP | off |
//! | `consul` | `discover::Consul` and `discover::Registration` | off |
//! | `grpc` | `discover::Grpc`: heartbeats by gRPC's health protocol | off |
//! | `redis` | `limit::RedisStore`: limits that several processes share | off |
//! | `fault` | `FaultLayer`, `fault` | off |
//! | `trace` | `TraceLayer`, `trace` | off |
//! | `opentelemetry` | the same, with the ids that OpenTelemetry exports | off |
//! | `meter` | `MeterLayer`, `meter` | off |
//! | `metrics` | `metrics`: every named layer as metrics | off |
//! | `client` | `Client`, `client`: requests through any stack | off |
//! | `reqwest` | `client::ReqwestService` | off |
//! | `hyper` | `client::HyperService` | off |
//!
//! # Read on
//!
//! - [Context and spawned tasks](docs::context): what a task that is spawned does not inherit, and how to hand it on.
//! - [`core`]: the vocabulary, to write a policy or a classifier of your own. [`http`]: what the layers know of HTTP and gRPC.

#[cfg(feature = "balance")]
pub use bartizan_balance as balance;
#[cfg(feature = "breaker")]
pub use bartizan_breaker as breaker;
#[cfg(feature = "client")]
pub use bartizan_client as client;
#[cfg(feature = "console")]
pub use bartizan_console as console;
pub use bartizan_core as core;
#[cfg(feature = "deadline")]
pub use bartizan_deadline as deadline;
#[cfg(feature = "discover")]
pub use bartizan_discover as discover;
#[cfg(feature = "fallback")]
pub use bartizan_fallback as fallback;
#[cfg(feature = "fault")]
pub use bartizan_fault as fault;
#[cfg(feature = "hedge")]
pub use bartizan_hedge as hedge;
pub use bartizan_http as http;
#[cfg(feature = "limit")]
pub use bartizan_limit as limit;
#[cfg(feature = "meter")]
pub use bartizan_meter as meter;
#[cfg(feature = "metrics")]
pub use bartizan_metrics as metrics;
#[cfg(feature = "policy")]
pub use bartizan_policy as policy;
#[cfg(feature = "retry")]
pub use bartizan_retry as retry;
#[cfg(feature = "shed")]
pub use bartizan_shed as shed;
#[cfg(feature = "stack")]
pub use bartizan_stack as stack;
#[cfg(feature = "trace")]
pub use bartizan_trace as trace;

#[cfg(feature = "balance")]
pub use bartizan_balance::{Balance, BalanceLayer, BalanceService};
#[cfg(feature = "breaker")]
pub use bartizan_breaker::{Breaker, BreakerLayer};
#[cfg(feature = "client")]
pub use bartizan_client::Client;
pub use bartizan_core::{Budget, Context, Kind, Priority, Purse, Refused, Verdict, find_cause};
#[cfg(feature = "deadline")]
pub use bartizan_deadline::{Deadline, DeadlineLayer};
#[cfg(feature = "fallback")]
pub use bartizan_fallback::{Fallback, FallbackLayer, Stale, StaleLayer};
#[cfg(feature = "fault")]
pub use bartizan_fault::{Fault, FaultLayer, Faults};
#[cfg(feature = "hedge")]
pub use bartizan_hedge::{Hedge, HedgeLayer};
#[cfg(feature = "limit")]
pub use bartizan_limit::{Limit, LimitLayer};
#[cfg(feature = "meter")]
pub use bartizan_meter::{Meter, MeterLayer};
#[cfg(feature = "retry")]
pub use bartizan_retry::{Retry, RetryLayer};
#[cfg(feature = "shed")]
pub use bartizan_shed::{Shed, ShedLayer, Throttle, ThrottleLayer};
#[cfg(feature = "stack")]
pub use bartizan_stack::{ClientLayer, ClientStack, ServerLayer, ServerStack};
#[cfg(feature = "trace")]
pub use bartizan_trace::{Trace, TraceLayer};

/// Pages that belong to no single item.
pub mod docs {
    #[doc = include_str!("../docs/context.md")]
    pub mod context {}
}

/// Its own README, and the pages of the workspace.
#[cfg(all(
    doctest,
    feature = "consul",
    feature = "fault",
    feature = "grpc",
    feature = "meter",
    feature = "metrics",
    feature = "policy",
    feature = "reqwest",
    feature = "stack",
    feature = "trace"
))]
mod readme {
    #[doc = include_str!("../README.md")]
    struct Facade;

    #[doc = include_str!("../../../README.md")]
    struct Workspace;

    #[doc = include_str!("../../../CHANGELOG.md")]
    struct Changelog;
}
