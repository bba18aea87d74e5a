//! What has happened, told on the bus to whom it concerns. An event comes at least once, and has the same id each time.
//! Beside its own fields its payload has `traceparent`, as far as it was traced whose doing it is.

use super::product::Item;
use serde::{Deserialize, Serialize};

/// The topics.
pub const ORDER_CREATED: &str = "order.created";
pub const ORDER_CONFIRMED: &str = "order.confirmed";
pub const ORDER_CANCELLED: &str = "order.cancelled";
pub const USER_CREATED: &str = "user.created";

/// The queue of the mail service.
pub const MAIL: &str = "mail";

/// Which queue gets which topics. Whoever publishes knows it, so that a consumer that is away misses nothing.
pub const BINDINGS: &[(&str, &str)] = &[(MAIL, "order.*"), (MAIL, USER_CREATED)];

/// `order.*`
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OrderEvent {
    pub order_id: String,
    pub user_id: String,
    /// The name of who buys, or "customer".
    pub buyer: String,
    pub items: Vec<Item>,
    /// Unknown while the items are not reserved.
    pub total_cents: Option<i64>,
    /// Why it was cancelled.
    pub reason: Option<String>,
}

/// `user.created`
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UserEvent {
    pub user_id: String,
    pub name: String,
    pub email: String,
}
