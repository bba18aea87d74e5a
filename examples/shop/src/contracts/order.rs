//! Orders, over HTTP.

use super::object::objects;
use super::product::Item;
use serde::{Deserialize, Serialize};

/// `POST /orders`, with `Authorization` and `Idempotency-Key`
#[derive(Debug, Deserialize, Serialize)]
pub struct PlaceOrder {
    #[serde(deserialize_with = "objects")]
    pub items: Vec<Item>,
}

/// `POST /orders` → 201 or 202, `GET /orders/{id}` → 200
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Order {
    pub id: String,
    pub status: Status,
    /// The exact step of the saga behind the status.
    pub step: Step,
    /// Unknown until the items are reserved.
    pub total_cents: Option<i64>,
    pub items: Vec<Item>,
    /// Unknown until the order is paid.
    pub payment_id: Option<String>,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// `GET /orders` → 200, newest first
#[derive(Debug, Deserialize, Serialize)]
pub struct Orders {
    pub orders: Vec<Order>,
}

/// What a customer has to know of an order.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// On its way forward; ask again.
    Pending,
    Confirmed,
    /// On its way back; ask again.
    Refunding,
    /// On its way back; ask again.
    Releasing,
    Cancelled,
}

/// A step of the saga. Forward `Pending → Reserved → Paid → Confirmed`, back by `Refunding` and `Releasing` to
/// `Cancelled`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Step {
    Pending,
    Reserved,
    Paid,
    Confirmed,
    Refunding,
    Releasing,
    Cancelled,
}

impl Step {
    /// The status that stands for this step outside.
    pub fn status(self) -> Status {
        match self {
            Self::Pending | Self::Reserved | Self::Paid => Status::Pending,
            Self::Confirmed => Status::Confirmed,
            Self::Refunding => Status::Refunding,
            Self::Releasing => Status::Releasing,
            Self::Cancelled => Status::Cancelled,
        }
    }
}
