//! The way of an order: `PENDING → RESERVED → PAID → CONFIRMED`, and back by `REFUNDING` and `RELEASING` to
//! `CANCELLED`.
//!
//! Every step is written down before the next is taken, and every call is idempotent by the order. So it does not
//! matter where a request, the process or the network gives up: whoever comes next goes on from the last row. What
//! another service did not answer is not known, and nothing is decided on it.

use super::book::{Book, Change, Entry};
use super::lanes::Lanes;
use super::partners::{Charged, Partners, Said};
use crate::contracts::order::Step;
use std::time::Duration;
use tokio::time::timeout;

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

    /// Brings an order on until it is at its end, somebody does not answer, or the patience is over, and returns
    /// where it is then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the order where the last row says; the sweeper goes on from there.
    pub(super) async fn advance(&self, id: &str, patience: Duration) -> sqlx::Result<Entry> {
        match timeout(patience, self.run(id)).await {
            Ok(entry) => entry,
            Err(_) => self.book.find(id).await,
        }
    }

    async fn run(&self, id: &str) -> sqlx::Result<Entry> {
        let _turn = self.lanes.enter(id).await;
        loop {
            let entry = self.book.find(id).await?;
            let Some((to, change)) = self.next(&entry).await else { return Ok(entry) };
            let change = change.as_change();
            self.book.step(id, entry.order.step, to, change).await?;
        }
    }

    /// The next step, or none: the order is at its end, or must wait for an answer.
    async fn next(&self, Entry { order, user_id, tries }: &Entry) -> Option<(Step, Note)> {
        match order.step {
            Step::Pending => {
                let reserve = self.partners.reserve(&order.id, &order.items);
                match tokio::join!(reserve, self.partners.buyer(user_id)) {
                    (Said::Yes(total), buyer) => Some((Step::Reserved, Note::Reserved { total, buyer })),
                    (Said::No(why), _) => Some((Step::Releasing, Note::Because(why))),
                    (Said::Unknown, _) => None,
                }
            }
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
                    Charged::Captured { payment_id } => Some((Step::Paid, Note::Paid { payment_id })),
                    Charged::No(why) => Some((Step::Releasing, Note::Because(why))),
                    Charged::Unknown => None,
                }
            }
            Step::Paid => match self.partners.commit(&order.id).await {
                Said::Yes(()) => Some((Step::Confirmed, Note::Nothing)),
                Said::No(why) => Some((Step::Refunding, Note::Because(why))),
                Said::Unknown => None,
            },
            Step::Refunding => {
                self.partners.refund(&order.id).await.then_some((Step::Releasing, Note::Nothing))
            }
            Step::Releasing => {
                self.partners.release(&order.id).await.then_some((Step::Cancelled, Note::Nothing))
            }
            Step::Confirmed | Step::Cancelled => None,
        }
    }

    /// Turns an order back, from wherever it is. Nobody may know whether a reserved order is paid, so its money is
    /// given back as well.
    pub(super) async fn turn_back(&self, id: &str, reason: &str) -> sqlx::Result<()> {
        loop {
            let from = self.book.find(id).await?.order.step;
            let to = match from {
                Step::Pending => Step::Releasing,
                Step::Reserved | Step::Paid | Step::Confirmed => Step::Refunding,
                Step::Refunding | Step::Releasing | Step::Cancelled => return Ok(()),
            };
            self.book.step(id, from, to, Change { reason: Some(reason), ..Change::default() }).await?;
        }
    }
}

/// What is written down with a step.
enum Note {
    Nothing,
    Reserved { total: i64, buyer: String },
    Paid { payment_id: String },
    Because(String),
}

impl Note {
    fn as_change(&self) -> Change<'_> {
        match self {
            Self::Nothing => Change::default(),
            Self::Reserved { total, buyer } => {
                Change { total_cents: Some(*total), buyer: Some(buyer), ..Change::default() }
            }
            Self::Paid { payment_id } => Change { payment_id: Some(payment_id), ..Change::default() },
            Self::Because(why) => Change { reason: Some(why), ..Change::default() },
        }
    }
}
