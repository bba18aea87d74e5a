//! What may happen to a payment. The row is written before the bank is asked, so that a charge is never forgotten;
//! what the bank does not answer is `UNKNOWN` until somebody asks again. Nobody here asks on their own: only the order
//! hangs on it, and it asks by its key until it knows.

use super::bank::Bank;
use super::ledger::{Ledger, voided};
use crate::contracts::bank::{Entry, EntryState};
use crate::contracts::payment::{ChargeRequest, Payment, State};

#[derive(Clone)]
pub(super) struct Till {
    ledger: Ledger,
    bank: Bank,
}

/// Why nothing was done.
#[derive(Debug)]
pub(super) enum No {
    KeyReused,
    Store(sqlx::Error),
}

impl From<sqlx::Error> for No {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

impl Till {
    pub(super) fn new(ledger: Ledger, bank: Bank) -> Self {
        Self { ledger, bank }
    }

    /// Charges, or says what became of the charge with this key.
    pub(super) async fn charge(&self, charge: &ChargeRequest) -> Result<Payment, No> {
        let payment = self.ledger.open(charge).await?;
        let same = payment.order_id == charge.order_id && payment.amount_cents == charge.amount_cents;
        if !same && !voided(&payment) {
            return Err(No::KeyReused);
        }
        if payment.state() != State::Unknown {
            return Ok(payment);
        }
        // Another replica may be asking at this moment. The bank knows the key, and both hear the same.
        let said = self.bank.charge(&charge.idempotency_key, charge.amount_cents, &charge.order_id).await;
        self.note(&charge.idempotency_key, payment, said).await
    }

    /// Gives the money back, or makes sure that none can be taken any more.
    pub(super) async fn refund(&self, key: &str) -> Result<Payment, No> {
        let payment = self.ledger.void_or_find(key).await?;
        if matches!(payment.state(), State::Refunded | State::Declined) {
            return Ok(payment);
        }
        self.ledger.turn_back(key).await?;
        // Declined or never charged: the bank keeps nothing either way.
        if self.bank.refund(key).await.is_some_and(|entry| entry.state != EntryState::Captured) {
            self.ledger.turn(key, State::Refunding, State::Refunded, "").await?;
        }
        self.ledger.by_key(key).await?.ok_or(No::Store(sqlx::Error::RowNotFound))
    }

    pub(super) async fn by_id(&self, id: &str) -> Result<Option<Payment>, No> {
        Ok(self.ledger.by_id(id).await?)
    }

    /// The payment with this key. If it is unknown, the bank is asked what it has.
    pub(super) async fn by_key(&self, key: &str) -> Result<Option<Payment>, No> {
        let Some(payment) = self.ledger.by_key(key).await? else { return Ok(None) };
        if payment.state() != State::Unknown {
            return Ok(Some(payment));
        }
        let said = self.bank.find(key).await;
        self.note(key, payment, said).await.map(Some)
    }

    /// Writes down what the bank said of an unknown payment. A refund that began meanwhile stays.
    async fn note(&self, key: &str, payment: Payment, said: Option<Entry>) -> Result<Payment, No> {
        let Some(entry) = said else { return Ok(payment) };
        let state = match entry.state {
            EntryState::Captured => State::Captured,
            EntryState::Declined => State::Declined,
            EntryState::Refunded => State::Refunded,
        };
        self.ledger.turn(key, State::Unknown, state, entry.reason.as_deref().unwrap_or_default()).await?;
        self.ledger.by_key(key).await?.ok_or(No::Store(sqlx::Error::RowNotFound))
    }
}
