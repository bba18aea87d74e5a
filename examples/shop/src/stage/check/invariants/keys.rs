//! The same asked again is not another.

use super::super::books::Books;
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};
use std::collections::HashMap;

pub static KEYS: Invariant = Invariant {
    sentence: "a customer has one order of a key, and a payment's key is its own",
    things: "orders and payments",
    reads: "orders; payments",
    examine,
};

fn examine(books: &Books, _: Calm) -> Findings {
    let mut found = Findings::of(books.orders.len() + books.payments.len());
    let mut orders: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    for (id, order) in &books.orders {
        orders.entry((&order.user, &order.key)).or_default().push(id);
    }
    for ((user, key), ids) in orders {
        if let Some((count, ids)) = several(ids) {
            let text = format!("user {user} has {count} orders of key {key}: {ids}");
            found.complain(&format!("{user} {key}"), "several orders", text);
        }
    }
    let mut payments: HashMap<&str, Vec<&str>> = HashMap::new();
    for payment in &books.payments {
        payments.entry(&payment.key).or_default().push(&payment.id);
    }
    for (key, ids) in payments {
        if let Some((count, ids)) = several(ids) {
            found.complain(
                key,
                "several payments",
                format!("there are {count} payments of key {key}: {ids}"),
            );
        }
    }
    found
}

fn several(mut ids: Vec<&str>) -> Option<(usize, String)> {
    ids.sort_unstable();
    (ids.len() > 1).then(|| (ids.len(), ids.join(" and ")))
}
