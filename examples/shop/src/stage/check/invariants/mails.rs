//! Everybody is told everything, once.

use super::super::books::{Books, Step};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};
use std::collections::{HashMap, HashSet};

pub static MAILS: Invariant = Invariant {
    sentence: "there is one mail per order and kind, and one greeting per user",
    things: "mails",
    examine,
};

const GREETING: &str = "user.created";
const CREATED: &str = "order.created";
const CONFIRMED: &str = "order.confirmed";
const CANCELLED: &str = "order.cancelled";

fn examine(books: &Books, _: Calm) -> Findings {
    let mut found = Findings::of(books.mails.len());
    let mut mails: HashMap<(&str, &str), usize> = HashMap::new();
    for mail in &books.mails {
        *mails.entry((&mail.about, &mail.kind)).or_default() += 1;
    }
    for ((about, kind), count) in &mails {
        if *count > 1 {
            found.complain(about, "twice", format!("{about} has {count} mails of {kind}"));
        }
    }
    let users: HashSet<_> = books.users.iter().map(String::as_str).collect();
    for (about, kind) in mails.keys() {
        is_true(about, kind, books, &users, &mut found);
    }
    let under_way = books.under_way();
    let mut must = |about: &str, who: &str, kind: &'static str| {
        if mails.contains_key(&(about, kind)) {
        } else if under_way.contains(about) {
            // Whether it takes too long is for the queue to say.
            found.at_work += 1;
        } else {
            let text = format!("{who} {about} has no mail of {kind}, and none is on its way");
            found.complain(about, kind, text);
        }
    };
    for user in &books.users {
        must(user, "user", GREETING);
    }
    for (id, order) in &books.orders {
        must(id, "order", CREATED);
        match order.step {
            Step::Confirmed => must(id, "order", CONFIRMED),
            Step::Cancelled => must(id, "order", CANCELLED),
            _ => {}
        }
    }
    found
}

/// What a mail tells has happened.
fn is_true(about: &str, kind: &str, books: &Books, users: &HashSet<&str>, found: &mut Findings) {
    let step = books.orders.get(about).map(|order| order.step);
    let text = match (kind, step) {
        (GREETING, _) if !users.contains(about) => {
            format!("a mail greets user {about}, who does not exist")
        }
        (CREATED | CONFIRMED | CANCELLED, None) => {
            format!("a mail tells {kind} of order {about}, which does not exist")
        }
        (CONFIRMED, Some(step @ (Step::Pending | Step::Reserved | Step::Paid))) => {
            format!("a mail tells {kind} of order {about}, which is {step}")
        }
        (CANCELLED, Some(step)) if step != Step::Cancelled => {
            format!("a mail tells {kind} of order {about}, which is {step}")
        }
        _ => return,
    };
    found.complain(about, "not true", text);
}
