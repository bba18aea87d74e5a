//! Products and reservations, over HTTP.

use super::object::{objects, whole};
use serde::{Deserialize, Serialize};

/// `GET /products/{id}` → 200
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Product {
    pub id: String,
    pub name: String,
    pub category: String,
    pub price_cents: i64,
    /// Free to be ordered: neither reserved nor sold.
    pub stock: i64,
}

/// `GET /products` → 200
#[derive(Debug, Deserialize, Serialize)]
pub struct Products {
    pub products: Vec<Product>,
}

/// So many of one product.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Item {
    pub product_id: String,
    #[serde(deserialize_with = "whole")]
    pub quantity: i64,
}

/// `POST /products/{id}/stock`
#[derive(Debug, Deserialize, Serialize)]
pub struct Restock {
    #[serde(deserialize_with = "whole")]
    pub add: i64,
}

/// `PUT /reservations/{order}`
#[derive(Debug, Deserialize, Serialize)]
pub struct Reserve {
    #[serde(deserialize_with = "objects")]
    pub items: Vec<Item>,
}

/// `PUT /reservations/{order}` → 200, `POST /reservations/{order}/commit` → 200
#[derive(Debug, Deserialize, Serialize)]
pub struct Reservation {
    pub order_id: String,
    pub state: Hold,
    /// What the items cost when they were reserved.
    pub total_cents: i64,
}

/// Where the items of a reservation are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Hold {
    /// Taken from the stock, not sold yet.
    Held,
    /// Sold.
    Committed,
    /// Back in the stock, for good.
    Released,
}
