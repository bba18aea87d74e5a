//! Every message arrives.

use super::super::books::{Books, words_of};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};

pub static DRAINED: Invariant = Invariant {
    sentence: "outboxes and queue are empty 30 s after the last fault ended, and no order's mail is a dead letter",
    things: "messages",
    examine,
};

fn examine(books: &Books, calm: Calm) -> Findings {
    let mut found = Findings::of(books.letters.len() + books.dead_letters.len());
    for letter in &books.letters {
        found.open(calm.age(letter.created_at), &letter.id, "not delivered", || {
            let (id, topic, at, tries) = (&letter.id, &letter.topic, letter.at, letter.tries);
            let (seconds, about) =
                (calm.seconds_since(letter.created_at), words_of(&letter.payload).join(" "));
            format!("message {id} ({topic}, {about}) is in {at} for {seconds} s, after {tries} tries")
        });
    }
    for letter in books.dead_letters.iter().filter(|letter| letter.topic.starts_with("order.")) {
        let (id, topic, reason) = (&letter.id, &letter.topic, &letter.reason);
        let about = words_of(&letter.payload).join(" ");
        found.complain(
            id,
            "dead letter",
            format!("message {id} ({topic}, {about}) is a dead letter: {reason}"),
        );
    }
    found
}
