//! What must always be true. Each file has one sentence.

mod acknowledged;
mod cancelled;
mod drained;
mod mails;
mod money;
mod paid;
mod settled;
mod stock;

use super::books::Books;
use super::calm::Calm;
use super::complaint::{Findings, Invariant};

pub use acknowledged::ACKNOWLEDGED;
pub use cancelled::CANCELLED;
pub use drained::DRAINED;
pub use mails::MAILS;
pub use paid::PAID;
pub use settled::SETTLED;
pub use stock::STOCK;

pub static ALL: [&Invariant; 7] = [&STOCK, &PAID, &CANCELLED, &MAILS, &SETTLED, &DRAINED, &ACKNOWLEDGED];

/// What each of them has to say.
pub fn examine(books: &Books, calm: Calm) -> Vec<(&'static Invariant, Findings)> {
    ALL.into_iter().map(|invariant| (invariant, (invariant.examine)(books, calm))).collect()
}
