//! Published rules of breakers that exist only outside Rust, with their defaults.
//!
//! Each is written from its documentation and stands for its decision alone: when it trips, how long it pauses, how it
//! comes back. The verdict of a call that was admitted before the last change of state is dropped, which is kinder to
//! them than some of the originals.

use std::{collections::VecDeque, time::Duration};

use fastrand::Rng;

/// When a closed breaker trips, and how it comes back.
pub(crate) trait Rule {
    /// Counts the outcome of a call while closed, and says whether to trip.
    fn trips(&mut self, now: Duration, failed: bool) -> bool;

    /// Forgets what it counted: the breaker has closed.
    fn clear(&mut self);

    /// How long to refuse after having opened `row` times in a row; the first time is 1.
    fn pause(&mut self, row: u32) -> Duration;

    /// How many calls probe; half of them failing opens again.
    fn probes(&self) -> u32 {
        1
    }
}

/// resilience4j's `CircuitBreaker` (Java): a ring of the last calls.
///
/// Source: resilience4j.readme.io/docs/circuitbreaker, and `CircuitBreakerConfig.java`.
#[derive(Debug)]
pub(crate) struct Resilience4j {
    ring: VecDeque<bool>,
    failed: usize,
}

impl Resilience4j {
    pub(crate) const NAME: &str = "resilience4j";
    /// `slidingWindowSize`, and `minimumNumberOfCalls`.
    const WINDOW: usize = 100;
    /// `failureRateThreshold`, in percent.
    const THRESHOLD: usize = 50;
    /// `waitDurationInOpenState`.
    const PAUSE: Duration = Duration::from_secs(60);
    /// `permittedNumberOfCallsInHalfOpenState`.
    const PROBES: u32 = 10;

    pub(crate) fn new() -> Self {
        Self { ring: VecDeque::with_capacity(Self::WINDOW), failed: 0 }
    }
}

impl Rule for Resilience4j {
    fn trips(&mut self, _: Duration, failed: bool) -> bool {
        if self.ring.len() == Self::WINDOW {
            self.failed -= usize::from(self.ring.pop_front() == Some(true));
        }
        self.ring.push_back(failed);
        self.failed += usize::from(failed);
        self.ring.len() == Self::WINDOW && self.failed * 100 >= Self::THRESHOLD * Self::WINDOW
    }

    fn clear(&mut self) {
        *self = Self::new();
    }

    fn pause(&mut self, _: u32) -> Duration {
        Self::PAUSE
    }

    fn probes(&self) -> u32 {
        Self::PROBES
    }
}

/// Polly's circuit breaker strategy (.NET): the failure ratio over a sampling duration.
///
/// Source: pollydocs.org/strategies/circuit-breaker, and `CircuitBreakerConstants.cs`. The window slides exactly; Polly's
/// own moves in tenths of the sampling duration and trips up to a twentieth sooner.
#[derive(Debug, Default)]
pub(crate) struct Polly {
    calls: VecDeque<(Duration, bool)>,
    failed: usize,
}

impl Polly {
    pub(crate) const NAME: &str = "Polly";
    /// `FailureRatio`, in percent.
    const RATIO: usize = 10;
    /// `MinimumThroughput`.
    const MIN_CALLS: usize = 100;
    /// `SamplingDuration`.
    const WINDOW: Duration = Duration::from_secs(30);
    /// `BreakDuration`.
    const PAUSE: Duration = Duration::from_secs(5);
}

impl Rule for Polly {
    fn trips(&mut self, now: Duration, failed: bool) -> bool {
        while self.calls.front().is_some_and(|(then, _)| now - *then >= Self::WINDOW) {
            self.failed -= usize::from(self.calls.pop_front().is_some_and(|(_, failed)| failed));
        }
        self.calls.push_back((now, failed));
        self.failed += usize::from(failed);
        failed && self.calls.len() >= Self::MIN_CALLS && self.failed * 100 >= Self::RATIO * self.calls.len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn pause(&mut self, _: u32) -> Duration {
        Self::PAUSE
    }
}

/// Five failures in a row, as Finagle's failure accrual (Scala) counts them, with its pauses.
///
/// Source: `FailureAccrualFactory.scala` (`defaultConsecutiveFailures`), `Backoff.equalJittered(5.seconds, 300.seconds)`.
#[derive(Debug)]
pub(crate) struct FiveInARow {
    row: u32,
    dice: Rng,
}

impl FiveInARow {
    pub(crate) const NAME: &str = "5 in a row";
    const THRESHOLD: u32 = 5;
    const MIN_PAUSE: Duration = Duration::from_secs(5);
    const MAX_PAUSE: Duration = Duration::from_secs(300);

    pub(crate) fn new(seed: u64) -> Self {
        Self { row: 0, dice: Rng::with_seed(seed) }
    }
}

impl Rule for FiveInARow {
    fn trips(&mut self, _: Duration, failed: bool) -> bool {
        self.row = if failed { self.row + 1 } else { 0 };
        self.row >= Self::THRESHOLD
    }

    fn clear(&mut self) {
        self.row = 0;
    }

    fn pause(&mut self, row: u32) -> Duration {
        // The first pause is the start itself, each later one between the doubled pause's half and its whole.
        match row.saturating_sub(2) {
            _ if row < 2 => Self::MIN_PAUSE,
            doublings => {
                let half = Self::MIN_PAUSE.saturating_mul(1 << doublings.min(16));
                (half + half.mul_f64(self.dice.f64())).min(Self::MAX_PAUSE)
            }
        }
    }
}

/// No breaker at all.
#[derive(Debug)]
pub(crate) struct Never;

impl Rule for Never {
    fn trips(&mut self, _: Duration, _: bool) -> bool {
        false
    }

    fn clear(&mut self) {}

    fn pause(&mut self, _: u32) -> Duration {
        Duration::ZERO
    }
}

/// The states that all these breakers share, around a rule.
pub(crate) struct Machine {
    rule: Box<dyn Rule>,
    state: State,
    /// Changes with the state, so that a late verdict is known as such.
    generation: u64,
    /// How often it has opened since it last closed.
    row: u32,
    trips: u64,
}

enum State {
    Closed,
    Open { until: Duration },
    HalfOpen { left: u32, ended: u32, failed: u32 },
}

impl Machine {
    pub(crate) fn new(rule: Box<dyn Rule>) -> Self {
        Self { rule, state: State::Closed, generation: 0, row: 0, trips: 0 }
    }

    /// How often it has opened.
    pub(crate) fn trips(&self) -> u64 {
        self.trips
    }

    /// Admits a call and names the generation that admitted it, or refuses.
    pub(crate) fn admit(&mut self, now: Duration) -> Option<u64> {
        if let State::Open { until } = self.state {
            if now < until {
                return None;
            }
            self.enter(State::HalfOpen { left: self.rule.probes(), ended: 0, failed: 0 });
        }
        if let State::HalfOpen { left, .. } = &mut self.state {
            *left = left.checked_sub(1)?;
        }
        Some(self.generation)
    }

    /// Hears how a call ended that `generation` admitted.
    pub(crate) fn record(&mut self, now: Duration, generation: u64, bad: bool) {
        if generation != self.generation {
            return;
        }
        match &mut self.state {
            State::Closed if self.rule.trips(now, bad) => self.open(now),
            State::HalfOpen { ended, failed, .. } => {
                *ended += 1;
                *failed += u32::from(bad);
                if *ended == self.rule.probes() {
                    if *failed * 2 >= *ended { self.open(now) } else { self.close() }
                }
            }
            State::Closed | State::Open { .. } => {}
        }
    }

    fn open(&mut self, now: Duration) {
        self.row += 1;
        self.trips += 1;
        let until = now + self.rule.pause(self.row);
        self.enter(State::Open { until });
    }

    fn close(&mut self) {
        self.row = 0;
        self.rule.clear();
        self.enter(State::Closed);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats;

    const GAP: Duration = Duration::from_millis(10);
    const MAX_CALLS: u32 = 100_000;

    /// The mean number of calls until `rule` trips, of 100 calls a second with 1 % failures for 40 s, then `share`.
    fn calls_to_trip(rule: fn(u64) -> Box<dyn Rule>, share: f64) -> Option<f64> {
        let mut dice = Rng::with_seed(7);
        let runs = (0..400).map(|seed| {
            let mut machine = Machine::new(rule(seed));
            let mut now = Duration::ZERO;
            let mut call = |machine: &mut Machine, share: f64| {
                now += GAP;
                let failed = dice.f64() < share;
                machine.admit(now).map(|generation| machine.record(now, generation, failed))
            };
            (0..4000).for_each(|_| assert!(call(&mut machine, 0.01).is_some(), "no trip at 1 %"));
            (1..=MAX_CALLS)
                .find(|_| call(&mut machine, share).is_some() && machine.trips() > 0)
                .map(f64::from)
        });
        runs.collect::<Option<Vec<f64>>>().map(|runs| stats::mean(&runs))
    }

    #[track_caller]
    fn assert_near(figure: Option<f64>, published: f64) {
        let figure = figure.expect("it trips");
        assert!((figure / published - 1.0).abs() < 0.1, "{figure} is not within a tenth of {published}");
    }

    #[test]
    fn resilience4j_trips_as_published() {
        let rule: fn(u64) -> Box<dyn Rule> = |_| Box::new(Resilience4j::new());
        assert_near(calls_to_trip(rule, 1.0), 50.0);
        assert_near(calls_to_trip(rule, 0.5), 123.0);
        assert_eq!(calls_to_trip(rule, 0.2), None);
    }

    #[test]
    fn polly_trips_as_published() {
        let rule: fn(u64) -> Box<dyn Rule> = |_| Box::new(Polly::default());
        assert_near(calls_to_trip(rule, 1.0), 273.0);
        assert_near(calls_to_trip(rule, 0.5), 554.0);
        assert_near(calls_to_trip(rule, 0.2), 1413.0);
    }

    #[test]
    fn five_in_a_row_trips_as_published() {
        let rule: fn(u64) -> Box<dyn Rule> = |seed| Box::new(FiveInARow::new(seed));
        assert_near(calls_to_trip(rule, 1.0), 5.0);
        assert_near(calls_to_trip(rule, 0.5), 57.0);
        assert_near(calls_to_trip(rule, 0.2), 3819.0);
    }

    #[test]
    fn an_open_machine_waits_probes_and_closes() {
        let mut machine = Machine::new(Box::new(Polly::default()));
        let mut now = Duration::ZERO;
        for _ in 0..100 {
            let generation = machine.admit(now).expect("closed");
            machine.record(now, generation, true);
        }
        assert_eq!((machine.trips(), machine.admit(now)), (1, None));
        now += Polly::PAUSE;
        let probe = machine.admit(now).expect("one probe");
        assert_eq!(machine.admit(now), None);
        machine.record(now, probe - 1, true);
        machine.record(now, probe, false);
        assert!(machine.admit(now).is_some());
    }

    #[test]
    fn pauses_of_five_in_a_row_grow_to_their_cap() {
        let mut rule = FiveInARow::new(1);
        assert_eq!(rule.pause(1), FiveInARow::MIN_PAUSE);
        let second = rule.pause(2);
        assert!(second >= FiveInARow::MIN_PAUSE && second <= 2 * FiveInARow::MIN_PAUSE);
        assert_eq!(rule.pause(20), FiveInARow::MAX_PAUSE);
    }
}
