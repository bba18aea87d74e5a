//! Nothing is told that has not happened.

use super::super::books::{Books, Letter, Step};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};
use serde_json::Value;
use std::collections::HashSet;

pub static EVENTS: Invariant = Invariant {
    sentence: "every message on its way tells of an order or a user that exists, and what has become of it",
    things: "messages",
    reads: "outboxes of order and user; the queue; orders; users",
    examine,
};

fn examine(books: &Books, _: Calm) -> Findings {
    let mut found = Findings::of(books.letters.len());
    let users: HashSet<_> = books.users.iter().map(|user| user.id.as_str()).collect();
    for letter in &books.letters {
        let Letter { id, topic, at, .. } = letter;
        if let Some(order) = named(letter, "order_id") {
            let step = books.orders.get(&order).map(|order| order.step);
            let Some(what) = told_wrongly(topic, step) else { continue };
            let text = match step {
                None => format!("message {id} in {at} tells {topic} of order {order}, which does not exist"),
                Some(step) => format!("message {id} in {at} tells {topic} of order {order}, which is {step}"),
            };
            found.complain(id, what, text);
        } else if let Some(user) = named(letter, "user_id").filter(|user| !users.contains(user.as_str())) {
            let text = format!("message {id} in {at} tells {topic} of user {user}, who does not exist");
            found.complain(id, "no such user", text);
        }
    }
    found
}

/// What a message names. One that nobody can read tells nothing.
fn named(letter: &Letter, field: &str) -> Option<String> {
    let payload: Value = serde_json::from_str(&letter.payload).ok()?;
    payload.get(field)?.as_str().map(str::to_owned)
}

fn told_wrongly(topic: &str, step: Option<Step>) -> Option<&'static str> {
    match (topic, step) {
        (_, None) => Some("no such order"),
        ("order.confirmed", Some(Step::Pending | Step::Reserved | Step::Paid)) => Some("not confirmed"),
        ("order.cancelled", Some(step)) if step != Step::Cancelled => Some("not cancelled"),
        _ => None,
    }
}
