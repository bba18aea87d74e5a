//! What a check says in the end.

use super::books::{Books, Step};
use super::hearing::{State, Verdict};
use crate::parts::failure::Failure;
use serde_json::{Value, json};
use std::fmt::{self, Display};

/// So many of the breaches of an invariant are told.
const EXAMPLES: usize = 10;

/// A judged reading.
#[derive(Debug)]
pub struct Report {
    pub verdicts: Vec<Verdict>,
    pub tally: Tally,
}

/// What was counted beside it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// In the order of [`Step::ALL`].
    pub orders: [usize; 7],
    pub outbox: usize,
    pub queue: usize,
    /// How many there are; not all may be shown.
    pub dead: usize,
    pub dead_letters: Vec<String>,
    pub at_rest: bool,
    pub bank_was_read: bool,
    pub queue_was_seen: bool,
}

impl Tally {
    pub fn of(books: &Books) -> Self {
        let dead = books.dead_letters.iter();
        Self {
            orders: books.orders_by_step(),
            outbox: books.in_outboxes(),
            queue: books.in_queue(),
            dead: books.dead(),
            dead_letters: dead
                .map(|letter| format!("{} ({}): {}", letter.id, letter.topic, letter.reason))
                .collect(),
            at_rest: false,
            bank_was_read: books.bank.is_some(),
            queue_was_seen: books.sealed.is_none(),
        }
    }

    /// The orders in each step, by the word of the step.
    pub fn steps(&self) -> impl Iterator<Item = (&'static str, usize)> {
        Step::ALL.into_iter().map(|(_, word)| word).zip(self.orders)
    }
}

impl Report {
    /// Whether another reading may say otherwise.
    pub fn has_doubts(&self) -> bool {
        self.verdicts.iter().any(|verdict| verdict.doubts > 0)
    }

    /// # Errors
    ///
    /// When an invariant is broken; the sentence names each.
    pub fn judge(&self) -> Result<(), Failure> {
        let broken: Vec<_> =
            self.in_state(State::Broken).map(|verdict| format!("{:?}", verdict.sentence)).collect();
        match broken.as_slice() {
            [] => Ok(()),
            [one] => Err(Failure::new(format!("one invariant is broken: {one}."))),
            several => {
                Err(Failure::new(format!("{} invariants are broken: {}.", several.len(), several.join(", "))))
            }
        }
    }

    fn in_state(&self, state: State) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(move |verdict| verdict.state() == state)
    }

    pub fn json(&self) -> Value {
        let invariants = self.verdicts.iter().map(|verdict| {
            json!({
                "name": verdict.sentence,
                "reads": verdict.reads,
                "things": verdict.things,
                "state": verdict.state().as_str(),
                "checked": verdict.looked_at,
                "breaches": verdict.breaches.len(),
                "waiting": verdict.waiting.len(),
                "at_work": verdict.at_work,
                "examples": verdict.examples().take(EXAMPLES).collect::<Vec<_>>(),
            })
        });
        let orders: serde_json::Map<_, _> =
            self.tally.steps().map(|(step, count)| (step.to_owned(), count.into())).collect();
        json!({
            "invariants": invariants.collect::<Vec<_>>(),
            "orders": orders,
            "outbox": self.tally.outbox,
            "queue": self.tally.queue,
            "dead_letters": self.tally.dead_letters,
            "dead": self.tally.dead,
            "bank_was_read": self.tally.bank_was_read,
            "queue_was_seen": self.tally.queue_was_seen,
        })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for verdict in &self.verdicts {
            line(f, verdict)?;
        }
        let Tally { orders, outbox, queue, dead, dead_letters, .. } = &self.tally;
        let steps: Vec<_> = self.tally.steps().map(|(step, count)| format!("{count} {step}")).collect();
        writeln!(f, "{} orders: {}", orders.iter().sum::<usize>(), steps.join(", "))?;
        writeln!(f, "outbox {outbox}, queue {queue}, dead letters {dead}")?;
        list(f, "dead: ", dead_letters.iter().map(String::as_str))?;
        if !self.tally.bank_was_read {
            writeln!(
                f,
                "the bank's own ledger is elsewhere and was not read: what it keeps is not verified"
            )?;
        }
        if !self.tally.queue_was_seen {
            let counted =
                "the queue is on a broker: its messages were counted, and those that wait were not read";
            writeln!(f, "{counted}")?;
        }
        let count = |state| self.in_state(state).count();
        let (all, broken) = (self.verdicts.len(), count(State::Broken));
        match (count(State::Holds), count(State::Waiting)) {
            (holding, _) if holding == all => writeln!(f, "All {all} invariants hold."),
            (holding, waiting) => {
                writeln!(f, "{holding} of {all} invariants hold, {waiting} waiting, {broken} broken.")
            }
        }
    }
}

fn line(f: &mut fmt::Formatter<'_>, verdict: &Verdict) -> fmt::Result {
    let (sign, state) = match verdict.state() {
        State::Holds => ('✓', "holds"),
        State::Waiting => ('⌛', "waits"),
        State::Broken => ('✗', "BROKEN"),
    };
    write!(f, "{sign} {state:<6} {} ({}: {}", verdict.sentence, verdict.things, verdict.looked_at)?;
    let figures = [
        (verdict.breaches.len(), "wrong"),
        (verdict.waiting.len(), "waiting"),
        (verdict.at_work, "just begun"),
    ];
    for (count, what) in figures.into_iter().filter(|(count, _)| *count > 0) {
        write!(f, "; {count} {what}")?;
    }
    writeln!(f, ")")?;
    list(f, "", verdict.examples())
}

fn list<'a>(
    f: &mut fmt::Formatter<'_>,
    prefix: &str,
    examples: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    let mut examples = examples.fuse();
    for example in examples.by_ref().take(EXAMPLES) {
        writeln!(f, "           {prefix}{example}")?;
    }
    match examples.count() {
        0 => Ok(()),
        more => writeln!(f, "           … and {more} more"),
    }
}
