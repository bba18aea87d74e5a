//! What the tests of the layers in their places share: a handler that plays parts, a gRPC service that does, and a policy
//! that counts.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a helper that panics is a test that fails"
)]

mod crowd;
pub mod echo;
mod fickle;
mod gauge;
mod ledger;
mod load;
mod outgoing;
mod patience;
mod player;
mod raw;
mod reach;
mod refusal;
mod replica;
mod spans;

pub use crowd::crowd;
pub use fickle::Fickle;
pub use gauge::{Gauge, GaugeLayer, Place};
pub use ledger::{Ledger, Received};
pub use load::{Load, load, meanwhile};
pub use outgoing::{ample, hedge, hyper, reqwest, retry};
pub use patience::{soon, until};
pub use player::Player;
pub use raw::{Ending, Unheard, raw};
pub use reach::{Reach, Reached, ask, listen, serve};
pub use refusal::{Refusal, pushback};
pub use replica::{Mood, Replica};
pub use spans::{Seen, Spans};
