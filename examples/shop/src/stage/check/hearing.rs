//! Which complaints stand.
//!
//! The files are read one after another, so an order that goes on meanwhile may look wrong: CONFIRMED in the book that
//! was read first, already refunded in the ledger that was read next. That is why a complaint counts only when three
//! readings in a row have made it.
//!
//! Why this is sound. No order comes back to a step that it has left, nor does a payment or a reservation, and none of
//! their rows is deleted. A complaint says "this is in that state, and another store says so-and-so". A state that is
//! found in two readings in a row was that of all the time between them, and so of the moment at which the other store
//! was read the first time: the complaint was true then. Two readings would do; the third is for what the proof takes
//! for granted. On the other hand no step repairs what is broken, so a breach that is there in the first reading is
//! there in all. Messages are the exception, for they move and their rows go; [`read`](super::read) says why none is missed.

use super::complaint::{Complaint, Findings, Invariant};
use std::collections::HashMap;

/// So many readings in a row must make a complaint before it counts.
pub const PROVEN: u32 = 3;

/// What the last readings complained of, and how often in a row.
#[derive(Debug, Default)]
pub struct Hearing(HashMap<Key, u32>);

/// Invariant, thing and kind of a complaint.
type Key = (&'static str, String, &'static str);

/// What is to be thought of an invariant.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub sentence: &'static str,
    pub things: &'static str,
    pub reads: &'static str,
    pub looked_at: usize,
    /// Complaints that stand.
    pub breaches: Vec<Complaint>,
    /// Complaints that do not stand yet.
    pub doubts: usize,
    pub waiting: Vec<String>,
    pub at_work: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    Holds,
    Waiting,
    Broken,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Waiting => "waiting",
            Self::Broken => "broken",
        }
    }
}

impl Verdict {
    pub fn state(&self) -> State {
        if !self.breaches.is_empty() {
            State::Broken
        } else if !self.waiting.is_empty() {
            State::Waiting
        } else {
            State::Holds
        }
    }

    /// What it is about: breaches, or else what is waited for.
    pub fn examples(&self) -> impl Iterator<Item = &str> {
        let waiting = if self.breaches.is_empty() { self.waiting.as_slice() } else { &[] };
        self.breaches
            .iter()
            .map(|complaint| complaint.text.as_str())
            .chain(waiting.iter().map(String::as_str))
    }
}

impl Hearing {
    /// Hears the findings of the next reading. Complaints that it does not make are forgotten.
    pub fn hear(&mut self, findings: Vec<(&'static Invariant, Findings)>) -> Vec<Verdict> {
        let before = std::mem::take(&mut self.0);
        let mut judge = |(invariant, found): (&'static Invariant, Findings)| {
            let (mut breaches, mut doubts) = (Vec::new(), 0);
            for complaint in found.complaints {
                let key = (invariant.sentence, complaint.about.clone(), complaint.what);
                let times = before.get(&key).map_or(1, |times| times + 1);
                self.0.insert(key, times);
                if times >= PROVEN {
                    breaches.push(complaint);
                } else {
                    doubts += 1;
                }
            }
            // Names sort by age, so the oldest come first.
            breaches.sort_by(|a, b| a.about.cmp(&b.about).then(a.what.cmp(b.what)));
            let mut waiting = found.waiting;
            waiting.sort();
            let Invariant { sentence, things, reads, .. } = *invariant;
            let (looked_at, at_work) = (found.looked_at, found.at_work);
            Verdict { sentence, things, reads, looked_at, breaches, doubts, waiting, at_work }
        };
        findings.into_iter().map(&mut judge).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::invariants::PAID;
    use super::*;

    fn hear(hearing: &mut Hearing, complaints: &[(&str, &'static str)]) -> Vec<String> {
        let mut findings = Findings::of(9);
        for (about, what) in complaints {
            findings.complain(about, what, format!("{about} {what}"));
        }
        let verdicts = hearing.hear(vec![(&PAID, findings)]);
        let [verdict] = verdicts.as_slice() else { panic!("one verdict") };
        assert_eq!(verdict.breaches.len() + verdict.doubts, complaints.len());
        assert_eq!(verdict.state() == State::Broken, !verdict.breaches.is_empty());
        verdict.examples().map(str::to_owned).collect()
    }

    #[test]
    fn a_complaint_stands_when_it_was_made_three_times_in_a_row() {
        let mut hearing = Hearing::default();
        assert!(hear(&mut hearing, &[("b", "x")]).is_empty());
        assert!(hear(&mut hearing, &[("b", "x"), ("a", "x")]).is_empty());
        assert_eq!(hear(&mut hearing, &[("b", "x"), ("a", "x"), ("b", "y")]), ["b x"]);
        assert_eq!(hear(&mut hearing, &[("b", "x"), ("a", "x")]), ["a x", "b x"]);
        assert_eq!(hear(&mut hearing, &[("a", "x"), ("b", "y")]), ["a x"]);
        assert!(hear(&mut hearing, &[]).is_empty());
        assert!(hear(&mut hearing, &[("a", "x")]).is_empty(), "it begins anew");
    }
}
