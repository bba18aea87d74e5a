//! All that the Bartizan layers know of HTTP and gRPC.
//!
//! - [`HttpClassifier`] finds the [`Verdict`](bartizan_core::Verdict) of an HTTP or gRPC call, for gRPC in its
//!   trailers. [`AtEnd`] is its third stage.
//! - [`answer`] turns a [`Refused`](bartizan_core::Refused) into a response: problem+json (RFC 9457), or trailers-only for gRPC.
//! - [`GuardedBody`] holds a permit until the body has ended, failed or was dropped.
//! - [`Replay`] is a request body that can be sent more than once.
//! - [`Head`] is what a user's function may see of a request.
//! - [`wire`] reads and writes the headers in which a deadline, a priority and an attempt number travel.
//!
//! ```
//! use bartizan_core::{Kind, Reason, Refused};
//!
//! const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");
//! let refused = Refused::new(&OPEN).with_retry_after(std::time::Duration::from_millis(1200));
//! let response = bartizan_http::answer(refused, bartizan_http::Form::Http);
//! assert_eq!(response.status(), 503);
//! assert_eq!(response.headers()["retry-after"], "2");
//! ```
//!
//! # What is shared
//!
//! What a [`ReplayLimit`] counts, with its clones. Beside that this crate holds no state.

mod body;
mod classify;
mod flavour;
mod form;
mod grpc;
mod head;
mod refusal;
mod replay;
pub mod wire;

pub use body::GuardedBody;
pub use classify::{AtEnd, End, HttpAtEnd, HttpAttempt, HttpClassifier};
pub use flavour::{Http, Typed};
pub use form::Form;
pub use grpc::{grpc_status, grpc_verdict, is_grpc, is_grpc_type};
pub use head::Head;
pub use refusal::{answer, grpc_message, refused_grpc_trailers};
pub use replay::{Replay, ReplayLimit, ReplayTooLarge, Replays};

#[doc(no_inline)]
pub use {bytes, http, http_body};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
