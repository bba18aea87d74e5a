//! The adaptive decision: whom to admit, from what is in flight and how fast it has been answered lately.

mod counts;
mod rule;
mod said;

use self::counts::{Counts, Seen};
use self::rule::{Rule, Window};
use self::said::Said;
use crate::nanos;
use crate::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use bartizan_core::Instant;
use std::time::Duration;

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
    /// The share of the floor, below which nothing is predicted, that it may use.
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
    /// As many are always admitted.
    pub(crate) floor: usize,
    /// Whether the last window refused anybody.
    pub(crate) saturated: bool,
    /// As many of a patience of 0.25 and the assumed deadline would be admitted now.
    pub(crate) limit: usize,
}

/// Predicts how long a request would wait, and admits it or not. Nothing on the way of a good request waits for a lock.
#[derive(Debug)]
pub(crate) struct Predictor {
    start: Instant,
    counts: Counts,
    said: Said,
    rule: Mutex<Rule>,
}

impl Predictor {
    pub(crate) fn new(settings: Settings, now: Instant) -> Self {
        let rule = Rule::new();
        let said = Said::new(&settings);
        said.say(&rule);
        Self { start: now, counts: Counts::new(), said, rule: Mutex::new(rule) }
    }

    /// Admits a request and counts it in flight, or refuses it.
    #[inline]
    pub(crate) fn enter(&self, patience: Patience, now: Instant) -> bool {
        let admitted = self.counts.enter_below(|| self.said.room(patience));
        if !admitted {
            self.turn_away(now);
        }
        admitted
    }

    /// Counts a request in flight that must not be refused.
    #[inline]
    pub(crate) fn enter_anyway(&self, _now: Instant) {
        self.counts.enter();
    }

    /// Gives the place back of a request that entered.
    #[inline]
    pub(crate) fn leave(&self, entered: Instant, now: Instant, end: Leave) {
        let took = nanos(now.saturating_duration_since(entered));
        let counts = match end {
            Leave::Good => true,
            Leave::Failed => self.said.is_work(took),
            Leave::Left => false,
        };
        if !counts {
            return self.counts.withdraw();
        }
        self.counts.end(took);
        let now = self.since_start(now);
        if now >= self.said.due() {
            self.close(now);
        }
    }

    /// Takes new settings and keeps what was learnt.
    pub(crate) fn update(&self, settings: Settings) {
        self.said.set(&settings);
    }

    /// Forgets what was learnt.
    pub(crate) fn reset(&self, now: Instant) {
        let mut rule = self.lock();
        *rule = Rule::beginning(self.counts.seen(self.since_start(now)));
        self.said.say(&rule);
    }

    pub(crate) fn look(&self, _now: Instant) -> Look {
        let rule = self.lock();
        let in_flight = self.counts.in_flight();
        let usual = Patience { tolerance: 0.25, left: None, floor: 1.0 };
        Look {
            in_flight: in_flight as usize,
            throughput: rule.throughput(),
            service_time: Duration::from_secs_f64(rule.service()),
            predicted_wait: Duration::from_secs_f64(rule.wait(in_flight).clamp(0.0, 1e9)),
            floor: rule.floor() as usize,
            saturated: rule.is_saturated(),
            limit: usize::try_from(self.said.room(usual)).unwrap_or(usize::MAX),
        }
    }

    #[cold]
    fn turn_away(&self, now: Instant) {
        self.counts.refuse();
        let now = self.since_start(now);
        if now >= self.said.due() {
            self.close(now);
        }
    }

    /// Closes the window, unless somebody else is about it.
    #[cold]
    fn close(&self, now: u64) {
        let mut rule = match self.rule.try_lock() {
            Ok(rule) => rule,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        rule.look(self.counts.seen(now));
        self.said.say(&rule);
    }

    fn lock(&self) -> MutexGuard<'_, Rule> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nanoseconds since it began.
    #[inline]
    fn since_start(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.start))
    }
}
