//! The adaptive decision: whom to admit, from what is in flight and how fast it has been answered lately.

mod counts;
mod dip;
mod knee;
#[cfg(all(test, not(bartizan_loom)))]
mod laws;
#[cfg(all(test, bartizan_loom))]
mod loom_models;
mod rule;
mod said;
#[cfg(all(test, not(bartizan_loom)))]
mod simulator;

use self::counts::{Counts, Seen};
use self::rule::{Rule, Window};
use self::said::Said;
use crate::nanos;
use crate::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use bartizan_core::Instant;
use std::time::Duration;

const MINUTE: u64 = 60_000_000_000;

/// What the user may set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    /// The time that a request without a deadline has.
    pub(crate) assumed_deadline: Duration,
    /// As many are admitted at least.
    pub(crate) min_in_flight: usize,
    /// No more than so many are admitted.
    pub(crate) max_in_flight: usize,
}

/// How long a request may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The share of what is left that it may be predicted to wait.
    pub(crate) tolerance: f64,
    /// The time to its deadline, if it has one.
    pub(crate) left: Option<Duration>,
    /// The share of the floor, up to which nothing is predicted, that it may use: 0.9 to 1.
    pub(crate) floor: f64,
}

/// How a request left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It was answered well.
    Good,
    /// It was answered with a failure. One that came at once says nothing of how fast the service is.
    Failed,
    /// Its caller went away, which says nothing at all.
    Left,
}

/// What is known and predicted now, for those who look from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    pub(crate) in_flight: usize,
    /// Answers per second.
    pub(crate) throughput: f64,
    /// How long an answer takes that waits for nothing.
    pub(crate) service_time: Duration,
    /// How long a request would wait that came now.
    pub(crate) predicted_wait: Duration,
    /// As many are admitted whatever is predicted.
    pub(crate) floor: usize,
    /// Whether so many were refused lately that it was no chance.
    pub(crate) saturated: bool,
    /// As many would be admitted now of a tolerance of 0.25 and the assumed deadline.
    pub(crate) limit: usize,
}

/// Predicts how long a request would wait, and admits it or not. Nothing on the way of a good request waits for a lock.
#[derive(Debug)]
pub(crate) struct Predictor {
    start: Instant,
    counts: Counts,
    said: Said,
    learnt: Mutex<Learnt>,
}

/// What only one at a time may do: close the window.
#[derive(Debug)]
struct Learnt {
    settings: Settings,
    rule: Rule,
    begun: Seen,
}

impl Predictor {
    pub(crate) fn new(settings: Settings, now: Instant) -> Self {
        let learnt = Learnt { settings, rule: Rule::new(), begun: Seen::default() };
        let said = Said::new();
        learnt.tell(&said);
        Self { start: now, counts: Counts::new(), said, learnt: Mutex::new(learnt) }
    }

    /// Admits a request and counts it in flight, or refuses it.
    #[inline]
    pub(crate) fn enter(&self, patience: Patience, now: Instant) -> bool {
        let admitted = self.counts.enter_below(self.said.free(), || self.said.room(patience));
        if !admitted {
            self.turn_away(now);
        }
        admitted
    }

    /// Counts a request in flight that must not be refused.
    #[inline]
    pub(crate) fn enter_anyway(&self) {
        self.counts.enter();
    }

    /// Gives the place back of a request that entered.
    #[cfg(test)]
    pub(crate) fn leave(&self, entered: Instant, now: Instant, end: Leave) {
        self.leave_after(nanos(now.saturating_duration_since(entered)), self.since_start(now), end);
    }

    /// Gives the place back of a request that entered so many nanoseconds ago. `now` counts from the beginning.
    #[inline]
    pub(crate) fn leave_after(&self, took: u64, now: u64, end: Leave) {
        let counts = match end {
            Leave::Good => true,
            Leave::Failed => self.said.is_work(took),
            Leave::Left => false,
        };
        if !counts {
            return self.counts.withdraw();
        }
        self.close(now, self.counts.end(took));
    }

    /// Takes new settings and keeps what was learnt.
    pub(crate) fn update(&self, settings: Settings) {
        let mut learnt = self.lock();
        learnt.settings = settings;
        learnt.tell(&self.said);
    }

    /// Forgets what was learnt.
    pub(crate) fn reset(&self, now: Instant) {
        let mut learnt = self.lock();
        (learnt.rule, learnt.begun) = (Rule::new(), self.counts.seen(self.since_start(now)));
        learnt.tell(&self.said);
    }

    /// How many are in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        self.counts.in_flight()
    }

    pub(crate) fn look(&self) -> Look {
        let learnt = self.lock();
        let limits = learnt.rule.limits();
        let in_flight = self.counts.in_flight();
        let usual = Patience { tolerance: 0.25, left: None, floor: 1.0 };
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Look {
            in_flight: in_flight as usize,
            throughput: limits.throughput,
            service_time: seconds(limits.service),
            predicted_wait: seconds(limits.wait(in_flight as f64)),
            floor: limits.floor as usize,
            saturated: learnt.rule.is_saturated(),
            limit: usize::try_from(self.said.room(usual)).unwrap_or(usize::MAX),
        }
    }

    #[cold]
    fn turn_away(&self, now: Instant) {
        self.counts.refuse();
        self.close(self.since_start(now), self.counts.ended());
    }

    /// Closes the window if it is over, unless somebody else is about it.
    #[inline]
    fn close(&self, now: u64, ended: u64) {
        if self.said.is_over(now, ended) {
            self.learn(now);
        }
    }

    #[cold]
    fn learn(&self, now: u64) {
        let mut learnt = match self.learnt.try_lock() {
            Ok(learnt) => learnt,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        learnt.learn(self.counts.seen(now));
        learnt.tell(&self.said);
    }

    fn lock(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nanoseconds since it began.
    #[inline]
    fn since_start(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.start))
    }
}

impl Learnt {
    fn learn(&mut self, seen: Seen) {
        let length = seen.at.saturating_sub(self.begun.at);
        let ended = seen.ended_since(&self.begun);
        if !said::is_over(length, ended) {
            // Somebody else was faster.
            return;
        }
        let window = Window {
            length: length as f64 * 1e-9,
            ended: ended as f64,
            taken: seen.taken_since(&self.begun) as f64 * 1e-9,
            refused: seen.refused_since(&self.begun) as f64,
            minute: seen.at / MINUTE,
        };
        self.begun = seen;
        self.rule.learn(&window);
    }

    fn tell(&self, said: &Said) {
        said.say(&self.rule.limits(), &self.settings, &self.begun);
    }
}
