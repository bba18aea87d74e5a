//! Which way an order goes: what is asked next, and what an answer makes of it. Nothing is asked here, so that all ways
//! can be gone in a test.

use super::book::Note;
use crate::contracts::order::Step;

/// What another service is asked. Each may be asked again, and late: whoever gets it knows it again by the order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Ask {
    /// Product: hold the items.
    Reserve,
    /// Payment: what became of the charge?
    FindCharge,
    /// Payment: charge.
    Charge,
    /// Product: sell what is held.
    Commit,
    /// Payment: give the money back, and take none any more.
    Refund,
    /// Product: give back what is held or sold, and hold nothing any more.
    Release,
}

/// What was answered.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Answer {
    Held {
        total_cents: i64,
    },
    Captured {
        payment_id: String,
    },
    /// The money was given back, or is about to be; or it is not known whose it is.
    GivenBack(String),
    /// What was asked for is done, and stays so.
    Done,
    /// It was not done, and will not be.
    No(String),
    /// It may have happened or not.
    Unknown,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Next {
    Take(Step, Note),
    Ask(Ask),
    /// Somebody has to be asked again, later.
    Wait,
}

/// What is asked first in a step, or nothing: the order is at its end. When somebody has asked before and was not
/// answered, it is found out first what came of a charge.
pub(super) fn first(step: Step, asked_before: bool) -> Option<Ask> {
    match step {
        Step::Pending => Some(Ask::Reserve),
        Step::Reserved if asked_before => Some(Ask::FindCharge),
        Step::Reserved => Some(Ask::Charge),
        Step::Paid => Some(Ask::Commit),
        Step::Refunding => Some(Ask::Refund),
        Step::Releasing => Some(Ask::Release),
        Step::Confirmed | Step::Cancelled => None,
    }
}

/// What an answer makes of the order. Nothing is decided on what is not known.
pub(super) fn next(ask: Ask, answer: Answer) -> Next {
    let plain = |step| Next::Take(step, Note::default());
    match (ask, answer) {
        (Ask::Reserve, Answer::Held { total_cents }) => {
            Next::Take(Step::Reserved, Note { total_cents: Some(total_cents), ..Note::default() })
        }
        (Ask::FindCharge | Ask::Charge, Answer::Captured { payment_id }) => {
            Next::Take(Step::Paid, Note { payment_id: Some(payment_id), ..Note::default() })
        }
        (Ask::FindCharge | Ask::Charge, Answer::GivenBack(why)) => Next::Take(Step::Refunding, because(why)),
        (Ask::Reserve | Ask::FindCharge | Ask::Charge, Answer::No(why)) => {
            Next::Take(Step::Releasing, because(why))
        }
        (Ask::FindCharge, Answer::Unknown) => Next::Ask(Ask::Charge),
        (Ask::Commit, Answer::Done) => plain(Step::Confirmed),
        (Ask::Commit, Answer::No(why)) => Next::Take(Step::Refunding, because(why)),
        (Ask::Refund, Answer::Done) => plain(Step::Releasing),
        (Ask::Release, Answer::Done) => plain(Step::Cancelled),
        _ => Next::Wait,
    }
}

/// Where an order turns back to, unless it is on its way back. Nobody may know whether a reserved order is paid, so its
/// money is given back as well.
pub(super) fn back(step: Step) -> Option<Step> {
    match step {
        Step::Pending => Some(Step::Releasing),
        Step::Reserved | Step::Paid | Step::Confirmed => Some(Step::Refunding),
        Step::Refunding | Step::Releasing | Step::Cancelled => None,
    }
}

pub(super) fn because(why: impl Into<String>) -> Note {
    Note { reason: Some(why.into()), ..Note::default() }
}

#[cfg(test)]
mod model;
