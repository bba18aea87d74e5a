//! The client's side of shedding: a caller that is being refused stops asking.
//!
//! ```
//! use bartizan_shed::{Throttle, ThrottleLayer};
//! use tower::{ServiceBuilder, service_fn};
//! use http::{Request, Response};
//!
//! let throttle = ThrottleLayer::new(Throttle::new()).named("payment");
//! let handle = throttle.handle();
//! # let client = service_fn(|_: Request<()>| async {
//! #     Ok::<_, std::convert::Infallible>(Response::new(http_body_util::Full::<bytes::Bytes>::default()))
//! # });
//! let service = ServiceBuilder::new().layer(throttle).service(client);
//! assert_eq!(handle.state().as_str(), "passing");
//! # drop(service);
//! ```
//!
//! Refusing costs a server something too: it reads the request, decides, and answers. While it refuses, a caller with a throttle sends it
//! about twice of what it accepts, and refuses the rest itself: a [`Refused`](bartizan_core::Refused) of the layer `throttle`, kind
//! `Unavailable`, with the reason `server refuses too much`. It never reached the server. By what rule, [`Throttle`] says.
//!
//! The place of the layer is around the client of one server, within retries, so that each of them is counted. A breaker beside it answers to
//! failures, and refuses everything while it is open; what it refuses is none of the server's refusals, and counts nowhere here.
//!
//! # Priorities
//!
//! Critical, normal and sheddable requests are counted apart, by the [`Priority`](bartizan_core::Priority) of their
//! [`Context`](bartizan_core::Context), as in the book. So the server says who is refused first: one that sheds by priority refuses critical
//! requests last, and then they are throttled last; to one that knows no priorities, all are alike.
//!
//! # What it costs
//!
//! A good request takes no lock and allocates nothing. When it ends, it reads the clock and adds to one shared number.
//!
//! # What is shared
//!
//! Everything: a layer, its clones and all services made by it have one state, born in [`ThrottleLayer::new`].

mod admit;
mod class;
mod classify;
mod event;
mod handle;
mod layer;
#[cfg(all(test, bartizan_loom))]
mod loom_models;
mod observed;
mod rule;
mod state;
mod value;
mod window;
mod word;

pub use admit::{Throttling, Ticket};
pub use classify::{RefusalAtEnd, RefusalAttempt, RefusalClassifier};
pub use handle::{Handle, Snapshot, Window};
pub use layer::{ThrottleLayer, ThrottleService};
pub use state::State;
pub use value::Throttle;
