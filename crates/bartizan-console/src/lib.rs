//! Every named layer of a process on a live page, as JSON and as a stream of server-sent events, in an axum router.
//!
//! It shows what the [registry](bartizan_core::registry) holds, in the order in which it was registered: the layers that were given a
//! name, and whatever else an application registers as [`Observed`](bartizan_core::registry::Observed). No layer knows of it.
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
//! | `GET /console` | the page; under `/ops` it is `/ops/console` |
//! | `GET /layers` | an array of `{layer, name, state, note, numbers, times, verbs, settings}`, as things are now |
//! | `GET /layers/{layer}/{name}` | one of them, or 404 |
//! | `POST /layers/{layer}/{name}` | does `{"verb": "…"}`, or sets `{"set": {"…": 1}}`, and answers with what the handle shows then |
//! | `GET /stream` | `text/event-stream`; the data of each event is the array of `/layers` |
//! | `GET /history` | an array of `{age_seconds, layers}`, the oldest first: what was seen within the last five minutes |
//!
//! `note` is a text for people or `null`. A number that is whole is written as an integer, one that is not finite as `null`. Each of `times` is
//! `{count, p50, p95, p99, buckets}`, in seconds and since the start; `buckets` are those that are not empty, each as `[longest, count]`, so that
//! a reader has the quantiles between two looks from their difference. A name in a path is percent-encoded. Handles of equal layer and name
//! are told apart by `?twin=0`, `?twin=1` and so on; where there are such, a request without it is a 409.
//!
//! A stream looks once every [`every`](Console::every). It sends an event when something has changed, and after [`Console::HEARTBEAT`] also when
//! nothing has, so that a reader tells quiet from gone. A reader that is slow misses events, and holds up nobody.
//!
//! What is refused is a problem in JSON (RFC 9457), and has changed nothing:
//!
//! | status | why |
//! |---|---|
//! | 401 | the token is missing, or it is another |
//! | 403 | a page of another origin asks; or nothing can be written here; or the header `bartizan-console` is missing |
//! | 404 | no such handle is alive |
//! | 405 | what is read alone |
//! | 409 | the verb is known, and the state does not allow it |
//! | 413, 415, 422 | no order, an unknown verb or setting, or a value that is none for it |
//! | 421 | a foreign `Host` |
//! | 503 | a stream, or a history, beyond [`max_streams`](Console::max_streams) or after [`close`](Console::close) |
//!
//! # Who may read
//!
//! Everybody who reaches it by a loopback name: it asks for no password. Serve it on a loopback address, or say
//! [`any_host`](Console::any_host), with a [`token`](Console::token) or behind what lets in only whom it knows. It sets no CORS header. No header,
//! body, key or user of a request is in what handles show.
//!
//! # Who may write
//!
//! Nobody, unless it is [`writable`](Console::writable).
//!
//! | | no token | [`token`](Console::token) |
//! |---|---|---|
//! | loopback names | all read, all programs of this machine write | all read, who knows the token writes |
//! | [`any_host`](Console::any_host) | all read, nobody writes | who knows the token reads and writes |
//!
//! No page of another origin writes: `Sec-Fetch-Site` and `Origin` must be the console's own where there are any, and a write is
//! `application/json` with a header `bartizan-console`, which no page sends to another origin without being allowed. A page that has its name
//! resolve to this machine is told by its `Host`. Each write is a `tracing` event, with the layer, the name and what was done.
//!
//! ```text
//! curl localhost:8080/ops/layers/breaker/payments -H bartizan-console:1 --json '{"verb": "force_open"}'
//! ```
//!
//! # What it costs
//!
//! Nothing while nobody looks. All streams of a console look at the same instants and share one picture, so that many readers ask the
//! handles as often as one does; a thousand handles take four looks a second about one hundredth of a processor, and never more than a
//! twentieth: a look that takes long is followed by a rest. There is no task: a stream lives in the body of its response. The history is of what
//! was looked at, a picture every five seconds and one at each change of a state, and at most 4 MiB; [`watch`](Console::watch) looks while
//! nobody else does.
//!
//! # What is shared
//!
//! The clones of a console, and all routers made from them, share the streams that are open, the picture and the history. Each clone keeps the settings it had.

mod access;
mod caller;
mod console;
mod history;
mod looks;
mod order;
mod page;
mod picture;
mod places;
mod problem;
mod routes;
mod stream;
mod token;

pub use console::Console;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
