//! What must always be true. Each file has one sentence.

mod acknowledged;
mod cancelled;
mod drained;
mod events;
mod keys;
mod mails;
mod money;
mod paid;
mod prices;
mod settled;
mod stock;
mod turned;

use super::books::Books;
use super::calm::Calm;
use super::complaint::{Findings, Invariant};

pub use acknowledged::ACKNOWLEDGED;
pub use cancelled::CANCELLED;
pub use drained::DRAINED;
pub use events::EVENTS;
pub use keys::KEYS;
pub use mails::MAILS;
pub use paid::PAID;
pub use prices::PRICES;
pub use settled::SETTLED;
pub use stock::STOCK;
pub use turned::TURNED;

pub static ALL: &[&Invariant] =
    &[&STOCK, &PAID, &CANCELLED, &MAILS, &SETTLED, &DRAINED, &ACKNOWLEDGED, &KEYS, &PRICES, &EVENTS, &TURNED];

/// What each of them has to say.
pub fn examine(books: &Books, calm: Calm) -> Vec<(&'static Invariant, Findings)> {
    ALL.iter().map(|invariant| (*invariant, (invariant.examine)(books, calm))).collect()
}
