//! Values and traits that the Bartizan layers share. It knows no protocol, holds no layer, spawns no task.
//!
//! A layer that admits or refuses is a policy, [`Admit`]; what it hands out for an admitted request is a
//! [`Permit`], held until the request has ended and given back by being dropped. How the request ended is a
//! [`Verdict`], found in up to three stages by a [`Classify`]: at the request, at the head of the answer, at
//! the end of its body. A layer's own no is one type for all of them, [`Refused`].
//!
//! What retries and hedges may cost is a [`Budget`]; the [`Purse`] that they share holds its [`Token`]s. Which [`Endpoint`] a call
//! went to is what its next copy should [`Avoid`].
//!
//! What a request carries along, its deadline, priority and attempt number, is the ambient [`Context`].
//!
//! Lengths of time are counted in [`Times`], for who looks at a layer.
//!
//! How settings read, in one line, is in [`show`].
//!
//! ```
//! use bartizan_core::{Admit, Kind, Reason, Refused, Refusing};
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicBool, Ordering};
//!
//! /// A policy that refuses everything while its switch is off.
//! #[derive(Clone)]
//! struct Switch(Arc<AtomicBool>);
//!
//! const OFF: Reason = Reason::new("switch", Kind::Unavailable, "switched off");
//!
//! impl<Req> Admit<Req> for Switch {
//!     type Permit = ();
//!     fn admit(&self, _: &Req) -> Result<(), Refusing> {
//!         if self.0.load(Ordering::Acquire) { Ok(()) } else { Err(Refusing::default()) }
//!     }
//!     fn refuse(&self, _: Refusing) -> Refused {
//!         Refused::new(&OFF)
//!     }
//! }
//!
//! let switch = Switch(Arc::new(AtomicBool::new(false)));
//! let refusing = Admit::<u32>::admit(&switch, &7).unwrap_err();
//! assert_eq!(Admit::<u32>::refuse(&switch, refusing).reason(), "switched off");
//! ```
//!
//! # What is shared
//!
//! Three things are global: what is ambient on a thread while a call is made or polled, its [`Context`], the [`Endpoint`] that was
//! picked for it; the weak [`registry`] of named handles; and the types of errors that layers can look into, [`recognise`].

mod admit;
mod budget;
mod classify;
mod context;
mod dice;
mod endpoint;
mod invalid;
mod ledger;
#[cfg(all(test, bartizan_loom))]
mod loom_models;
mod member;
mod purse;
mod rate;
mod recognise;
mod refused;
pub mod registry;
pub mod show;
mod sync;
mod times;
mod token;
mod unsent;
mod verdict;

pub use admit::{Admit, Permit, Queue, Refusing, Turn};
pub use budget::Budget;
pub use classify::{Attempt, Classify, ErrorsFail};
pub use context::{Context, Priority, Scoped};
pub use dice::Dice;
pub use endpoint::{Avoid, Endpoint, Hedged};
pub use invalid::Invalid;
pub use member::{Change, Health, Member};
pub use purse::{Purse, Snapshot as PurseSnapshot};
pub use recognise::{is_own, recognise, recognise_by, recognised};
pub use refused::{Kind, Name, Reason, Refused, find_cause};
pub use times::{Times, TimesSnapshot};
pub use token::Token;
pub use tokio::time::Instant;
pub use unsent::Unsent;
pub use verdict::{Step, Verdict};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
