//! Who was told that an order goes back, must not get its goods.

use super::super::books::Books;
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};

pub static TURNED: Invariant = Invariant {
    sentence: "an order that was turned back goes no other way",
    things: "orders with a reason",
    reads: "orders",
    examine,
};

/// With its turn an order gets the reason for it, and nothing takes that away.
fn examine(books: &Books, _: Calm) -> Findings {
    let mut found = Findings::default();
    for (id, order) in &books.orders {
        let Some(reason) = &order.reason else { continue };
        found.looked_at += 1;
        if !order.step.is_back() {
            let text = format!("order {id} is {}, and was turned back before: {reason}", order.step);
            found.complain(id, "gone on", text);
        }
    }
    found
}
