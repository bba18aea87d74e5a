//! Every named layer of a process as JSON and as a stream of server-sent events, in an axum router.
//!
//! It shows what the [registry](bartizan_core::registry) holds, in the order in which it was registered: the layers that were given a
//! name, and whatever else an application registers as [`Observed`](bartizan_core::registry::Observed). A page that draws this needs no
//! knowledge of any layer.
//!
//! ```
//! use axum::Router;
//! use bartizan_breaker::{Breaker, BreakerLayer};
//! use bartizan_console::Console;
//! # use axum::body::Body;
//! # use axum::http::{Request, header::HOST};
//! # use http_body_util::BodyExt;
//! # use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = BreakerLayer::new(Breaker::new()).named("payments");
//! let console = Console::new();
//! let app: Router = Router::new().nest("/ops", console.router());
//!
//! payments.handle().force_open();
//! # let request = Request::get("/ops/layers").header(HOST, "localhost:8080").body(Body::empty())?;
//! # let answer = app.oneshot(request).await?.into_body().collect().await?.to_bytes();
//! # let answer: serde_json::Value = serde_json::from_slice(&answer)?;
//! // GET /ops/layers
//! assert_eq!(answer[0]["layer"], "breaker");
//! assert_eq!(answer[0]["name"], "payments");
//! assert_eq!(answer[0]["state"], "forced open");
//! assert_eq!(answer[0]["numbers"]["trips"], 0);
//! # Ok(())
//! # }
//! ```
//!
//! # What it answers
//!
//! | request | answer |
//! |---|---|
//! | `GET /layers` | an array of `{layer, name, state, note, numbers}`, as things are now |
//! | `GET /stream` | `text/event-stream`; the data of each event is the same array |
//!
//! `note` is a text for people or `null`. A number that is whole is written as an integer, one that is not finite as `null`.
//!
//! A stream looks once every [`every`](Console::every). It sends an event when something has changed, and after [`Console::HEARTBEAT`] also when
//! nothing has, so that a reader tells quiet from gone. A reader that is slow misses events, and holds up nobody.
//!
//! What is refused is a problem in JSON (RFC 9457): 405 what is no `GET`, 421 a foreign `Host`, 403 a request that a browser makes for
//! another site, and 503 a stream beyond [`max_streams`](Console::max_streams) or after [`close`](Console::close).
//!
//! # Who may read it
//!
//! Everybody who reaches it by a loopback name: it asks for no password. Serve it on a loopback address, or put it behind what
//! lets in only whom it knows, and then say [`any_host`](Console::any_host). It sets no CORS header, and changes nothing.
//!
//! # What it costs
//!
//! Nothing while nobody looks. All streams of a console look at the same instants and share one picture, so that many readers ask the
//! handles as often as one does. There is no task: a stream lives in the body of its response.
//!
//! # What is shared
//!
//! The clones of a console, and all routers made from them, share the streams that are open, and the picture. Each clone keeps the settings it had.

mod caller;
mod console;
mod picture;
mod places;
mod problem;
mod routes;
mod stream;

pub use console::Console;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
