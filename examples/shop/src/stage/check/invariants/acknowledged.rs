//! What a customer was told is true.

use super::super::books::{Books, Step};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};

pub static ACKNOWLEDGED: Invariant = Invariant {
    sentence: "every order that a customer was told about is in the book, is theirs, and is what they were told",
    things: "answers to customers",
    reads: "the journal of `shop load`; orders",
    examine,
};

fn examine(books: &Books, _: Calm) -> Findings {
    let mut found = Findings::of(books.told.len());
    for told in &books.told {
        let (id, status) = (&told.order, &told.status);
        let order = books.orders.get(id);
        if let (Some(order), Some(key)) = (order, &told.key)
            && order.key != *key
        {
            let text = format!(
                "order {id} was placed with key {}, and a customer was told that it is the one of key {key}",
                order.key
            );
            found.complain(id, "another order", text);
        }
        match order.map(|order| order.step) {
            None => {
                let text = format!(
                    "order {id}, of which a customer was told that it is {status}, is not in the book"
                );
                found.complain(id, "lost", text);
            }
            // Told so, it can only be that, or on its way back.
            Some(step) if !may_follow(status, step) => {
                let text = format!("order {id} is {step}, and its customer was told that it is {status}");
                found.complain(id, "told otherwise", text);
            }
            Some(_) => {}
        }
    }
    found
}

/// Whether an order of which this was told can be there by now.
fn may_follow(told: &str, step: Step) -> bool {
    match told {
        "CONFIRMED" => step == Step::Confirmed || step.is_back(),
        // From the way back there is no other way.
        "REFUNDING" | "RELEASING" => step.is_back(),
        "CANCELLED" => step == Step::Cancelled,
        _ => true,
    }
}
