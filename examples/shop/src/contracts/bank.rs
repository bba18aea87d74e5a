//! The bank behind the payments, over HTTP. Keys are chosen by who asks; a key moves money at most once.

use serde::{Deserialize, Serialize};

/// `PUT /charges/{key}`
#[derive(Debug, Deserialize, Serialize)]
pub struct Charge {
    pub amount_cents: i64,
    /// What the money is for: the order's id. It stands beside every movement of the money.
    pub reference: String,
}

/// `PUT /charges/{key}`, `GET /charges/{key}` and `POST /charges/{key}/refund` → 200
#[derive(Debug, Deserialize, Serialize)]
pub struct Entry {
    pub key: String,
    pub amount_cents: i64,
    pub state: EntryState,
    /// Why the charge was declined.
    pub reason: Option<String>,
}

/// What became of a charge.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EntryState {
    Captured,
    Declined,
    /// Given back; or refunded before it came, and therefore never taken.
    Refunded,
}
