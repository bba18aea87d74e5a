//! The wiring of the layers that send a request more than once, retry and hedge, written once for both.
//!
//! A [`Way`] is all that such a layer knows of the requests it sends: how copies of one are made, and what an answer says about sending it
//! again. There are two: [`HttpWay`], for `http::Request` of any body, and [`TypedWay`], for everything else.
//!
//! - What may be repeated is decided by [`is_repeatable`], or by a mark, [`Repeatable`].
//! - What is read from a failure are its [`Signs`]: that the request [never arrived](never_arrived), when the server wants to be asked
//!   again, whose refusal it is.
//! - An answer is passed on as [`Begun`]: its head, or over gRPC its first frame, was waited for.
//!
//! ```
//! use bartizan_again::{Repeatable, is_repeatable};
//! use bartizan_http::Head;
//!
//! let read = http::Request::get("/").body(())?;
//! let write = http::Request::post("/").body(())?;
//! let marked = http::Request::post("/search").extension(Repeatable(true)).body(())?;
//! assert_eq!([read, write, marked].map(|req| is_repeatable(&Head::of(&req))), [true, false, true]);
//! # Ok::<(), http::Error>(())
//! ```
//!
//! # What is shared
//!
//! Nothing: this crate holds no state.

mod arrival;
mod begun;
mod http_way;
mod inner;
mod original;
mod repeat;
mod signs;
mod typed_way;
mod way;

pub use arrival::never_arrived;
pub use begun::Begun;
pub use http_way::{HttpKept, HttpTry, HttpWay, RETRY_ON};
pub use inner::{Inner, Spare};
pub use repeat::{IDEMPOTENCY_KEY, Repeatable, is_repeatable};
pub use signs::{Hint, Outcome, Signs};
pub use typed_way::{TypedTry, TypedWay};
pub use way::{Heard, Keep, Way};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
