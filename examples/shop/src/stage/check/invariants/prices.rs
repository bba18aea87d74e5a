//! What is paid for is what was ordered.
//!
//! The prices are those of the shelf, for this shop never changes one. One that does must note in its reservations what
//! each piece cost at the time, and have that compared here.

use super::super::books::{Books, Hold, Item, Order, goods};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};
use std::collections::HashMap;

pub static PRICES: Invariant = Invariant {
    sentence: "an order costs the sum of the prices of its goods, as its reservation says",
    things: "orders with a total",
    reads: "orders; products; reservations",
    examine,
};

fn examine(books: &Books, _: Calm) -> Findings {
    let products = books.products.iter();
    let prices: HashMap<_, _> = products.map(|product| (product.id.as_str(), product.price_cents)).collect();
    let mut found = Findings::default();
    for (id, order) in &books.orders {
        let Some(total) = order.total_cents else { continue };
        found.looked_at += 1;
        if let Some(sum) = sum(&order.items, &prices).filter(|sum| *sum != i128::from(total)) {
            let goods = goods(&order.items);
            let text = format!("order {id} costs {total} cents, and the prices of {goods} come to {sum}");
            found.complain(id, "another price", text);
        }
        costs_what_is_reserved(id, order, total, books, &mut found);
    }
    found
}

/// None when there is no such product, which is for the stock to say.
fn sum(items: &[Item], prices: &HashMap<&str, i64>) -> Option<i128> {
    let cost = |item: &Item| {
        let price = *prices.get(item.product_id.as_str())?;
        Some(i128::from(price) * i128::from(item.quantity))
    };
    items.iter().map(cost).sum()
}

fn costs_what_is_reserved(id: &str, order: &Order, total: i64, books: &Books, found: &mut Findings) {
    let Some(reservation) = books.reservations.get(id) else { return };
    // One that was given back before it was made is of nothing.
    let is_void = reservation.hold == Hold::Released && reservation.total_cents == 0;
    let cost = reservation.total_cents;
    if !is_void && cost != total {
        let step = order.step;
        let text = format!("order {id} is {step} at {total} cents, and its goods cost {cost} cents");
        found.complain(id, "not what is reserved", text);
    }
}
