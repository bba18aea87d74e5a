//! What may become an order, before anybody is asked.

use crate::contracts::order::PlaceOrder;
use crate::parts::problem::Problem;
use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use std::collections::HashSet;

/// The most of one product in one order.
const MOST: i64 = 1000;

/// The most products in one order.
const MOST_ITEMS: usize = 100;

pub(super) fn check(order: &PlaceOrder) -> Result<(), Problem> {
    if order.items.is_empty() || order.items.len() > MOST_ITEMS {
        return Err(Problem::invalid("`items` must name 1 to 100 products"));
    }
    let mut seen = HashSet::new();
    for item in &order.items {
        if !(1..=MOST).contains(&item.quantity) {
            return Err(Problem::invalid(format!("`quantity` of {:?} must be 1 to 1000", item.product_id)));
        }
        if !seen.insert(&item.product_id) {
            return Err(Problem::invalid(format!("`items` must not name {:?} twice", item.product_id)));
        }
    }
    Ok(())
}

/// The `Idempotency-Key` of a request: asked for, once, 1 to 255 visible ASCII characters.
pub(super) struct Key(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, "bad-idempotency-key", detail);
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(bad("`Idempotency-Key` is asked for, once"));
        };
        let visible = |byte: &u8| (b'!'..=b'~').contains(byte);
        match value.as_bytes() {
            key @ [_, ..] if key.len() <= 255 && key.iter().all(visible) => {
                Ok(Self(String::from_utf8_lossy(key).into_owned()))
            }
            _ => Err(bad("`Idempotency-Key` must have 1 to 255 visible ASCII characters")),
        }
    }
}
