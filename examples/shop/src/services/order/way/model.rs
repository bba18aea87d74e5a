//! Every way that an order can go, in a world of few parts: two processes that bring it on, a customer who cancels it at
//! any moment, product, payment and the bank as their contracts say, and calls that are late, lost, or die half-way.
//!
//! Each state that can be reached is looked at: money is taken once at most, and where nothing is under way any more, the
//! order keeps both money and goods, or neither. And from each, an undisturbed sweeper comes to an end.

use super::*;
use std::collections::HashSet;

mod partners;

/// How often something goes wrong on one way.
const TROUBLES: u8 = 2;

/// So many steps are enough for a sweeper that nobody disturbs.
const ENOUGH: usize = 60;

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Goods {
    Free,
    Held,
    Sold,
    /// Given back, for good.
    Back,
}

/// A payment's row, and the bank's under the same key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Money {
    None,
    Unknown,
    Captured,
    Declined,
    Refunding,
    Refunded,
}

/// Who brings the order on: a request, or the sweeper of another process.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Worker {
    Idle,
    Waits(Step, Ask),
    Told(Step, Ask, Answer),
}

/// A call under way, with what it has done of its work. Its caller may have given it up.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Call {
    what: What,
    at: u8,
    caller: Option<usize>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum What {
    Reserve,
    FindCharge,
    Charge,
    Commit,
    Refund,
    Release,
    /// What payment asks the bank, and has given up waiting for.
    LateCharge,
    LateRefund,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct World {
    step: Step,
    goods: Goods,
    row: Money,
    bank: Money,
    taken: u8,
    given: u8,
    workers: [Worker; 2],
    calls: Vec<Call>,
    troubles: u8,
}

/// How the saga decides.
#[derive(Clone, Copy)]
struct Way {
    first: fn(Step, bool) -> Option<Ask>,
    next: fn(Ask, Answer) -> Next,
    back: fn(Step) -> Option<Step>,
}

const OURS: Way = Way { first, next, back };

impl World {
    fn new() -> Self {
        Self {
            step: Step::Pending,
            goods: Goods::Free,
            row: Money::None,
            bank: Money::None,
            taken: 0,
            given: 0,
            workers: [Worker::Idle, Worker::Idle],
            calls: Vec::new(),
            troubles: TROUBLES,
        }
    }

    fn is_at_its_end(&self) -> bool {
        matches!(self.step, Step::Confirmed | Step::Cancelled)
    }

    fn is_still(&self) -> bool {
        self.calls.is_empty() && self.workers.iter().all(|worker| *worker == Worker::Idle)
    }

    /// What is wrong with it, if anything is.
    fn wrong(&self) -> Option<&'static str> {
        let kept = self.taken - self.given;
        if self.taken > 1 || (self.bank == Money::Captured) != (kept == 1) {
            return Some("money has moved twice");
        }
        if !self.is_still() || !self.is_at_its_end() {
            return None;
        }
        let good = match self.step {
            Step::Confirmed => kept == 1 && self.goods == Goods::Sold && self.row == Money::Captured,
            _ => {
                let row = matches!(self.row, Money::None | Money::Declined | Money::Refunded);
                kept == 0 && self.goods == Goods::Back && row
            }
        };
        (!good).then_some("an end that keeps what it must not, or has not what it must")
    }

    /// All that may happen next.
    fn successors(&self, way: Way) -> Vec<Self> {
        let mut worlds = Vec::new();
        for who in 0..self.workers.len() {
            self.work(way, who, &mut worlds);
        }
        for call in &self.calls {
            self.serve(*call, &mut worlds);
        }
        // The customer cancels.
        worlds.extend((way.back)(self.step).map(|step| Self { step, ..self.clone() }));
        worlds
    }

    fn work(&self, way: Way, who: usize, worlds: &mut Vec<Self>) {
        let and = |worker| {
            let mut world = self.clone();
            world.workers[who] = worker;
            world
        };
        match &self.workers[who] {
            // The one has never asked before, the other is the sweeper.
            Worker::Idle => {
                let ask = (way.first)(self.step, who == 1);
                worlds.extend(ask.map(|ask| self.clone().calling(who, self.step, ask)));
            }
            Worker::Waits(..) => {}
            Worker::Told(step, ask, answer) => match (way.next)(*ask, answer.clone()) {
                Next::Take(to, _) => {
                    let mut world = and(Worker::Idle);
                    // It is a compare-and-set.
                    if world.step == *step {
                        world.step = to;
                    }
                    worlds.push(world);
                }
                Next::Ask(another) => worlds.push(and(Worker::Idle).calling(who, *step, another)),
                Next::Wait => worlds.push(and(Worker::Idle)),
            },
        }
        // It dies, or its time is up; what it has asked for goes on.
        if self.workers[who] != Worker::Idle && self.troubles > 0 {
            let mut world = and(Worker::Idle);
            world.troubles -= 1;
            world
                .calls
                .iter_mut()
                .filter(|call| call.caller == Some(who))
                .for_each(|call| call.caller = None);
            world.calls.sort_unstable();
            worlds.push(world);
        }
    }

    fn calling(mut self, who: usize, step: Step, ask: Ask) -> Self {
        let what = match ask {
            Ask::Reserve => What::Reserve,
            Ask::FindCharge => What::FindCharge,
            Ask::Charge => What::Charge,
            Ask::Commit => What::Commit,
            Ask::Refund => What::Refund,
            Ask::Release => What::Release,
        };
        self.workers[who] = Worker::Waits(step, ask);
        self.begin(Call { what, at: 0, caller: Some(who) });
        self
    }

    fn begin(&mut self, call: Call) {
        self.calls.push(call);
        self.calls.sort_unstable();
    }

    fn end(&mut self, call: Call) {
        let at = self.calls.iter().position(|it| *it == call);
        self.calls.remove(at.expect("it is under way"));
    }

    /// Whether it comes to an end when nothing goes wrong any more and nobody but the sweeper does anything.
    fn ends(&self, way: Way) -> bool {
        let mut world = Self { troubles: 0, ..self.clone() };
        for _ in 0..ENOUGH {
            if world.is_at_its_end() && world.is_still() {
                return true;
            }
            let mut next = Vec::new();
            match world.calls.first() {
                Some(call) => world.serve(*call, &mut next),
                None if world.workers[0] != Worker::Idle => world.work(way, 0, &mut next),
                None => world.work(way, 1, &mut next),
            }
            let Some(first) = next.into_iter().next() else { return false };
            world = first;
        }
        false
    }
}

/// Looks at every state that can be reached, and returns how many there are.
fn explore(way: Way) -> Result<usize, String> {
    let (mut seen, mut todo) = (HashSet::from([World::new()]), vec![World::new()]);
    while let Some(world) = todo.pop() {
        if let Some(wrong) = world.wrong() {
            return Err(format!("{wrong}: {world:?}"));
        }
        if !world.ends(way) {
            return Err(format!("a sweeper does not come to an end: {world:?}"));
        }
        for next in world.successors(way) {
            if !seen.contains(&next) {
                seen.insert(next.clone());
                todo.push(next);
            }
        }
    }
    Ok(seen.len())
}

#[test]
fn no_way_loses_money_or_goods() {
    let states = explore(OURS).unwrap();
    assert!(states > 100_000, "{states} states are not all");
}

/// Ways on which money or goods are lost, each by one wrong decision.
#[test]
fn wrong_ways_are_found_out() {
    let unknown_is_no = |ask, answer| match (ask, answer) {
        (Ask::Charge, Answer::Unknown) => Next::Take(Step::Releasing, Note::default()),
        (ask, answer) => next(ask, answer),
    };
    let keeps_money = |step| match step {
        Step::Reserved => Some(Step::Releasing),
        step => back(step),
    };
    let keeps_goods = |ask, answer| match (ask, answer) {
        (Ask::Refund, Answer::Done) => Next::Take(Step::Cancelled, Note::default()),
        (ask, answer) => next(ask, answer),
    };
    let sells_unpaid = |ask, answer| match (ask, answer) {
        (Ask::Reserve, Answer::Held { .. }) => Next::Take(Step::Paid, Note::default()),
        (ask, answer) => next(ask, answer),
    };
    let gives_up = |ask, answer| match (ask, answer) {
        (Ask::FindCharge, Answer::Unknown) => Next::Wait,
        (ask, answer) => next(ask, answer),
    };
    for (name, way) in [
        ("unknown is no", Way { next: unknown_is_no, ..OURS }),
        ("keeps money", Way { back: keeps_money, ..OURS }),
        ("keeps goods", Way { next: keeps_goods, ..OURS }),
        ("sells unpaid", Way { next: sells_unpaid, ..OURS }),
        ("gives up", Way { next: gives_up, ..OURS }),
    ] {
        assert!(explore(way).is_err(), "{name}");
    }
}
