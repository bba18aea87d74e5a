//! The way of an order: `PENDING → RESERVED → PAID → CONFIRMED`, and back by `REFUNDING` and `RELEASING` to
//! `CANCELLED`.
//!
//! Every step is written down before the next is taken, and every call is idempotent by the order. So it does not
//! matter where a request, the process or the network gives up: whoever comes next goes on from the last row. What
//! another service did not answer is not known, and nothing is decided on it.

use super::book::{Book, Entry, Note};
use super::lanes::Lanes;
use super::partners::{Charged, Partners, Said};
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
    async fn next(&self, Entry { order, user_id, tries, .. }: &Entry) -> Option<(Step, Note)> {
        match order.step {
            Step::Pending => match self.partners.reserve(&order.id, &order.items).await {
                Said::Yes(total) => {
                    Some((Step::Reserved, Note { total_cents: Some(total), ..Note::default() }))
                }
                Said::No(why) => Some((Step::Releasing, because(why))),
                Said::Unknown => None,
            },
            Step::Reserved => {
                let total = order.total_cents?;
                // Somebody has asked before and was not answered: first find out what came of it.
                let asked =
                    if *tries > 0 { self.partners.find_charge(&order.id).await } else { Charged::Unknown };
                let charged = match asked {
                    Charged::Unknown => self.partners.charge(&order.id, user_id, total).await,
                    known => known,
                };
                match charged {
                    Charged::Captured { payment_id } => {
                        Some((Step::Paid, Note { payment_id: Some(payment_id), ..Note::default() }))
                    }
                    Charged::No(why) => Some((Step::Releasing, because(why))),
                    Charged::GivenBack => Some((Step::Refunding, because("the payment was given back"))),
                    Charged::Unknown => None,
                }
            }
            Step::Paid => match self.partners.commit(&order.id).await {
                Said::Yes(()) => Some((Step::Confirmed, Note::default())),
                Said::No(why) => Some((Step::Refunding, because(why))),
                Said::Unknown => None,
            },
            Step::Refunding => {
                self.partners.refund(&order.id).await.then(|| (Step::Releasing, Note::default()))
            }
            Step::Releasing => {
                self.partners.release(&order.id).await.then(|| (Step::Cancelled, Note::default()))
            }
            Step::Confirmed | Step::Cancelled => None,
        }
    }

    /// Turns an order back, from wherever it is. Nobody may know whether a reserved order is paid, so its money is
    /// given back as well.
    pub(super) async fn turn_back(&self, id: &str, reason: &str) -> sqlx::Result<()> {
        loop {
            let entry = self.book.find(id).await?;
            let to = match entry.order.step {
                Step::Pending => Step::Releasing,
                Step::Reserved | Step::Paid | Step::Confirmed => Step::Refunding,
                Step::Refunding | Step::Releasing | Step::Cancelled => return Ok(()),
            };
            self.book.step(&entry, to, because(reason)).await?;
        }
    }
}

fn because(why: impl Into<String>) -> Note {
    Note { reason: Some(why.into()), ..Note::default() }
}
