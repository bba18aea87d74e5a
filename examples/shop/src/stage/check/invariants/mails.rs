//! Everybody is told everything, once.

use super::super::books::{Books, Step, words_of};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};
use std::collections::{HashMap, HashSet};

pub static MAILS: Invariant = Invariant {
    sentence: "there is one mail per order and kind, and one greeting per user",
    things: "mails",
    reads: "mails; orders; users; outboxes; the queue",
    examine,
};

const GREETING: &str = "user.created";
const CREATED: &str = "order.created";
const CONFIRMED: &str = "order.confirmed";
const CANCELLED: &str = "order.cancelled";

fn examine(books: &Books, calm: Calm) -> Findings {
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
    let users: HashSet<_> = books.users.iter().map(|user| user.id.as_str()).collect();
    for (about, kind) in mails.keys() {
        is_true(about, kind, books, &users, &mut found);
    }
    // What the letters on their way are about: every word that their payloads hold.
    let under_way: HashSet<_> = books.letters.iter().flat_map(|letter| words_of(&letter.payload)).collect();
    let mut must = |about: &str, who: &str, kind: &'static str, told_at: i64| {
        if mails.contains_key(&(about, kind)) {
            return;
        }
        let text = || format!("{who} {about} has no mail of {kind}, and none is on its way");
        match &books.sealed {
            // Whether it takes too long is for the queue to say.
            _ if under_way.contains(about) => found.at_work += 1,
            None => found.complain(about, kind, text()),
            // It may be one of those that nobody has seen, or be in the hands of mail.
            Some(sealed) if sealed.waiting() > 0 => found.at_work += 1,
            Some(_) => found.open(calm.age(told_at), about, kind, text),
        }
    };
    for user in &books.users {
        must(&user.id, "user", GREETING, user.created_at);
    }
    for (id, order) in &books.orders {
        must(id, "order", CREATED, order.created_at);
        match order.step {
            Step::Confirmed => must(id, "order", CONFIRMED, order.updated_at),
            Step::Cancelled => must(id, "order", CANCELLED, order.updated_at),
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
