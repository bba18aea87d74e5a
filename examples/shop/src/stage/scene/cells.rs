//! What was last seen of each customer, and of all of them in the last five minutes.

use super::outcome::Outcome;
use super::timeline::Timeline;
use crate::parts::clock::now_ms;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// As many as the page has cells.
pub(super) const CUSTOMERS: usize = 64;

/// What was seen longer ago says nothing of now.
const FRESH_MS: i64 = 10_000;

/// What a customer came for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Journey {
    Browse,
    Order,
    Pay,
    Account,
    Rest,
}

/// A journey that has ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Cell {
    pub(super) n: usize,
    pub(super) journey: Journey,
    pub(super) outcome: Outcome,
    pub(super) ms: u64,
    pub(super) at_ms: i64,
    pub(super) status: Option<u16>,
    pub(super) why: Option<String>,
    pub(super) trace: Option<String>,
}

/// How all of them are now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Crowd {
    /// Those who have a journey behind them that says something of now.
    pub(super) shopping: usize,
    pub(super) hurt: usize,
    pub(super) degraded: usize,
    /// Of those who are hurt, who was refused.
    pub(super) shed: usize,
}

#[derive(Debug)]
pub(super) struct Cells(Mutex<State>);

#[derive(Debug)]
struct State {
    cells: Vec<Cell>,
    timeline: Timeline,
}

impl Cell {
    pub(super) fn resting(n: usize) -> Self {
        let (journey, outcome) = (Journey::Rest, Outcome::Idle);
        Self { n, journey, outcome, ms: 0, at_ms: 0, status: None, why: None, trace: None }
    }

    fn is_fresh(&self, now: i64) -> bool {
        self.outcome != Outcome::Idle && now - self.at_ms <= FRESH_MS
    }
}

impl Crowd {
    fn of(cells: &[Cell], now: i64) -> Self {
        let count = |is: fn(Outcome) -> bool| {
            cells.iter().filter(|cell| cell.is_fresh(now) && is(cell.outcome)).count()
        };
        Self {
            shopping: count(|_| true),
            hurt: count(Outcome::is_hurt),
            degraded: count(Outcome::is_degraded),
            shed: count(|outcome| outcome == Outcome::Shed),
        }
    }
}

impl Cells {
    pub(super) fn new() -> Self {
        let cells = (0..CUSTOMERS).map(Cell::resting).collect();
        Self(Mutex::new(State { cells, timeline: Timeline::new() }))
    }

    pub(super) fn ended(&self, cell: Cell) {
        let mut state = self.lock();
        state.timeline.note(cell.at_ms, cell.outcome, cell.ms);
        let n = cell.n;
        state.cells[n] = cell;
    }

    /// A customer has left.
    pub(super) fn rests(&self, n: usize) {
        self.lock().cells[n] = Cell::resting(n);
    }

    pub(super) fn crowd(&self) -> Crowd {
        Crowd::of(&self.lock().cells, now_ms())
    }

    /// The cells, how many there are of each outcome, and the timeline, or only its newest seconds.
    pub(super) fn show(&self, newest: Option<usize>) -> [(&'static str, Value); 3] {
        let mut state = self.lock();
        let seconds = state.timeline.show(now_ms(), newest);
        let count = |wanted| state.cells.iter().filter(|cell| cell.outcome == wanted).count();
        let counts: serde_json::Map<_, _> =
            Outcome::ALL.iter().map(|wanted| (wanted.as_str().to_owned(), count(*wanted).into())).collect();
        [
            ("customers", json!(state.cells)),
            ("counts", counts.into()),
            ("timeline", json!({ "seconds": seconds })),
        ]
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_hurt_long_ago_is_not_hurt_now() {
        let cell = |n, outcome, at_ms| Cell { outcome, at_ms, ..Cell::resting(n) };
        let cells = [
            cell(0, Outcome::Failed, 20_000),
            cell(1, Outcome::Slow, 9_999),
            cell(2, Outcome::Shed, 10_000),
            cell(3, Outcome::Hedged, 20_000),
            cell(4, Outcome::Ok, 20_000),
            Cell::resting(5),
        ];
        let crowd = Crowd::of(&cells, 20_000);
        assert_eq!(crowd, Crowd { shopping: 4, hurt: 2, degraded: 1, shed: 1 });
    }

    #[test]
    fn every_customer_has_a_cell() {
        let cells = Cells::new();
        cells.ended(Cell { outcome: Outcome::Ok, at_ms: now_ms(), ..Cell::resting(63) });
        let [(_, shown), (_, counts), _] = cells.show(None);
        assert_eq!(shown.as_array().map(Vec::len), Some(CUSTOMERS));
        assert_eq!((&counts["ok"], &counts["idle"]), (&json!(1), &json!(63)));
        cells.rests(63);
        assert_eq!(cells.crowd(), Crowd::default());
    }
}
