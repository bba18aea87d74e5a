//! The tower wiring of every Bartizan layer that only admits or refuses, written once.
//!
//! A policy implements [`Admit`](bartizan_core::Admit); [`GuardLayer`] puts it in front of any service, in two flavours: HTTP, which answers
//! a refusal as a response, and [typed](GuardLayer::typed), which returns it as an error. To use a layer, take the
//! `bartizan` crate; this one is for who writes a policy.
//!
//! ```
//! use bartizan_core::{Admit, Kind, Reason, Refused, Refusing};
//! use bartizan_guard::GuardLayer;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! /// Refuses odd numbers.
//! #[derive(Clone)]
//! struct Even;
//!
//! const ODD: Reason = Reason::new("even", Kind::Unavailable, "odd");
//!
//! impl Admit<u32> for Even {
//!     type Permit = ();
//!     fn admit(&self, n: &u32) -> Result<(), Refusing> {
//!         if n % 2 == 0 { Ok(()) } else { Err(Refusing::default()) }
//!     }
//!     fn refuse(&self, _: Refusing) -> Refused {
//!         Refused::new(&ODD)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let halve = service_fn(|n: u32| async move { Ok::<_, tower::BoxError>(n / 2) });
//! let service = ServiceBuilder::new().layer(GuardLayer::new(Even).typed()).service(halve);
//! assert_eq!(service.clone().oneshot(6).await.unwrap(), 3);
//! assert_eq!(service.oneshot(7).await.unwrap_err().to_string(), "refused by even: odd");
//! # }
//! ```
//!
//! # How it behaves
//!
//! - **Readiness.** While the policy refuses everything, the guard is ready at once and never polls the inner
//!   service; the call that follows is refused. Else it is as ready as the inner service. Nothing is reserved before
//!   `call`. A call on an instance that was not made ready is refused. A policy may refuse while the inner service is pending.
//! - **A queue.** Under [`GuardLayer::queued`] a request may wait for its turn. The service is always ready then; the request makes a
//!   clone of the inner service ready when it has its turn. Dropped while it waits, it leaves its place in the queue.
//! - **Permits** last until the response body has ended, failed or was dropped (HTTP), or until the future is done or was
//!   dropped (typed). A panic of the inner service counts as a failure and goes on.
//! - **Context.** A [`Context`](bartizan_core::Context) in the request's extensions is entered while the policy decides.
//!
//! # What is shared
//!
//! What the policy shares: its clones have one state. The guard adds none; readiness belongs to one instance and is not cloned.

mod entrance;
mod fields;
pub mod future;
mod layer;
mod queue;
mod service;
mod waiting;

pub use layer::{GuardLayer, QueueLayer};
pub use queue::QueueGuard;
pub use service::Guard;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
