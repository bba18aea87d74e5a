//! The way of an order: `PENDING → RESERVED → PAID → CONFIRMED`, and back by `REFUNDING` and `RELEASING` to
//! `CANCELLED`.
//!
//! Every step is written down before the next is taken, and every call is idempotent by the order. So it does not
//! matter where a request, the process or the network gives up: whoever comes next goes on from the last row. What
//! another service did not answer is not known, and nothing is decided on it.

use super::book::{Book, Entry, Note};
use super::lanes::Lanes;
use super::partners::Partners;
use super::way::{self, Next};
use crate::contracts::order::Step;
use tokio::time::{Instant, timeout_at};

#[derive(Clone)]
pub(super) struct Saga {
    book: Book,
    partners: Partners,
    lanes: Lanes,
}

impl Saga {
    pub(super) fn new(book: Book, partners: Partners) -> Self {
        Self { book, partners, lanes: Lanes::default() }
    }

    /// Brings an order on until it is at its end, somebody does not answer, or the time is up, and returns where it is
    /// then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the order where the last row says; the sweeper goes on from there.
    pub(super) async fn advance(&self, id: &str, until: Instant) -> sqlx::Result<Entry> {
        match timeout_at(until, self.run(id)).await {
            Ok(entry) => entry,
            Err(_) => self.book.find(id).await,
        }
    }

    async fn run(&self, id: &str) -> sqlx::Result<Entry> {
        let _turn = self.lanes.enter(id).await;
        loop {
            let entry = self.book.find(id).await?;
            let Some((to, note)) = self.next(&entry).await else { return Ok(entry) };
            self.book.step(&entry, to, note).await?;
        }
    }

    /// The next step, or none: the order is at its end, or must wait for an answer.
    async fn next(&self, entry: &Entry) -> Option<(Step, Note)> {
        let mut ask = way::first(entry.order.step, entry.tries > 0)?;
        loop {
            match way::next(ask, self.partners.ask(ask, entry).await) {
                Next::Take(step, note) => return Some((step, note)),
                Next::Ask(another) => ask = another,
                Next::Wait => return None,
            }
        }
    }

    /// Turns an order back, from wherever it is.
    pub(super) async fn turn_back(&self, id: &str, reason: &str) -> sqlx::Result<()> {
        loop {
            let entry = self.book.find(id).await?;
            let Some(to) = way::back(entry.order.step) else { return Ok(()) };
            self.book.step(&entry, to, way::because(reason)).await?;
        }
    }
}
