//! Every message arrives.

use super::super::books::{Books, DeadLetter, words_of};
use super::super::calm::Calm;
use super::super::complaint::{Findings, Invariant};
use std::collections::HashSet;

pub static DRAINED: Invariant = Invariant {
    sentence: "outboxes and queue are empty 30 s after the last fault ended, and no order's mail is a dead letter",
    things: "messages",
    reads: "outboxes of order and user; the queue and its dead letters; orders; mails; faults",
    examine,
};

fn examine(books: &Books, calm: Calm) -> Findings {
    let mut found = Findings::of(books.in_outboxes() + books.in_queue() + books.dead());
    for letter in &books.letters {
        found.open(calm.age(letter.created_at), &letter.id, "not delivered", || {
            let (id, topic, at, tries) = (&letter.id, &letter.topic, letter.at, letter.tries);
            let (seconds, about) =
                (calm.seconds_since(letter.created_at), words_of(&letter.payload).join(" "));
            format!("message {id} ({topic}, {about}) is in {at} for {seconds} s, after {tries} tries")
        });
    }
    // Nobody can say how old these are, but nothing was told after this.
    let told = books.last_told_at();
    let queues = books.sealed.iter().flat_map(|sealed| &sealed.waiting);
    for (queue, count) in queues.filter(|(_, count)| *count > 0) {
        found.open(calm.age(told), queue, "not delivered", || {
            let seconds = calm.seconds_since(told);
            format!("{count} messages are in the queue {queue}, and the last was told {seconds} s ago")
        });
    }
    let mails: HashSet<_> =
        books.mails.iter().map(|mail| (mail.about.as_str(), mail.kind.as_str())).collect();
    for letter in books.dead_letters.iter().filter(|letter| letter.topic.starts_with("order.")) {
        let DeadLetter { id, topic, reason, payload } = letter;
        let words = words_of(payload);
        // What is of no order was never one's mail; and a copy may have arrived.
        let is_wanted = |word: &String| {
            books.orders.contains_key(word) && !mails.contains(&(word.as_str(), topic.as_str()))
        };
        if words.iter().any(is_wanted) {
            let about = words.join(" ");
            found.complain(
                id,
                "dead letter",
                format!("message {id} ({topic}, {about}) is a dead letter: {reason}"),
            );
        }
    }
    found
}
