//! The published rules for a limit of what is in flight, with their defaults, as references.
//!
//! - AIMD, Vegas and Gradient2: Netflix/concurrency-limits, `AIMDLimit`, `VegasLimit` and `Gradient2Limit`.
//! - Gradient: Envoy, `envoy.filters.http.adaptive_concurrency`, `GradientController`, with the values of its documentation.

use std::time::Duration;

/// An answer, as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) now: Duration,
    pub(crate) took: Duration,
    /// How many were in flight when the request came, with it.
    pub(crate) in_flight: usize,
    /// Whether it came too late for its caller.
    pub(crate) dropped: bool,
}

/// A rule that sets a limit by what it sees.
pub(crate) trait Rule {
    /// How many may be in flight.
    fn limit(&self) -> usize;
    fn learn(&mut self, seen: Seen);
}

/// One more while at least half of it is used, a tenth less for each that is dropped.
pub(crate) struct Aimd {
    limit: usize,
}

impl Aimd {
    pub(crate) fn new() -> Self {
        Self { limit: 10 }
    }
}

impl Rule for Aimd {
    fn limit(&self) -> usize {
        self.limit
    }

    fn learn(&mut self, seen: Seen) {
        const BACKOFF: f64 = 0.9;
        if seen.dropped {
            let less = (self.limit as f64 * BACKOFF) as usize;
            self.limit = less.min(self.limit - 1).max(1);
        } else if seen.in_flight * 2 >= self.limit {
            self.limit += 1;
        }
    }
}

/// Keeps a queue of a few, guessed from the shortest time of an answer.
pub(crate) struct Vegas {
    limit: f64,
    shortest: Duration,
    answers: u32,
    jitter: f64,
    dice: fastrand::Rng,
}

impl Vegas {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let jitter = Self::jitter(&mut dice);
        Self { limit: 20.0, shortest: Duration::ZERO, answers: 0, jitter, dice }
    }

    fn jitter(dice: &mut fastrand::Rng) -> f64 {
        0.5 + 0.5 * dice.f64()
    }

    fn next(&self, seen: Seen) -> f64 {
        let log = f64::from((self.limit as u32).max(1).ilog10());
        let queue = (self.limit * (1.0 - self.shortest.div_duration_f64(seen.took))).ceil();
        if seen.dropped {
            self.limit - log
        } else if seen.in_flight as f64 * 2.0 < self.limit {
            self.limit
        } else if queue <= log {
            self.limit + 6.0 * log
        } else if queue < 3.0 * log {
            self.limit + log
        } else if queue > 6.0 * log {
            self.limit - log
        } else {
            self.limit
        }
    }
}

impl Rule for Vegas {
    fn limit(&self) -> usize {
        self.limit as usize
    }

    fn learn(&mut self, seen: Seen) {
        const PROBE: f64 = 30.0;
        const MOST: f64 = 1000.0;
        self.answers += 1;
        if self.jitter * PROBE * self.limit <= f64::from(self.answers) {
            (self.jitter, self.answers, self.shortest) = (Self::jitter(&mut self.dice), 0, seen.took);
        } else if self.shortest.is_zero() || seen.took < self.shortest {
            self.shortest = seen.took;
        } else {
            self.limit = self.next(seen).clamp(1.0, MOST);
        }
    }
}

/// Shrinks while answers take longer than they do in the long run.
pub(crate) struct Gradient2 {
    limit: f64,
    long: f64,
    answers: u32,
}

impl Gradient2 {
    pub(crate) fn new() -> Self {
        Self { limit: 20.0, long: 0.0, answers: 0 }
    }
}

impl Rule for Gradient2 {
    fn limit(&self) -> usize {
        self.limit as usize
    }

    fn learn(&mut self, seen: Seen) {
        const WARM_UP: u32 = 10;
        const WINDOW: f64 = 600.0;
        const QUEUE: f64 = 4.0;
        const SMOOTHING: f64 = 0.2;
        const TOLERANCE: f64 = 1.5;
        let short = seen.took.as_secs_f64();
        self.answers = self.answers.saturating_add(1);
        if self.answers <= WARM_UP {
            self.long += (short - self.long) / f64::from(self.answers);
        } else {
            self.long += 2.0 / (WINDOW + 1.0) * (short - self.long);
        }
        if self.long / short > 2.0 {
            self.long *= 0.95;
        }
        if (seen.in_flight as f64) < self.limit / 2.0 {
            return;
        }
        let gradient = (TOLERANCE * self.long / short).clamp(0.5, 1.0);
        let next = self.limit * gradient + QUEUE;
        self.limit = (self.limit * (1.0 - SMOOTHING) + next * SMOOTHING).clamp(20.0, 200.0);
    }
}

/// Moves with the ratio of the shortest time of an answer, measured now and then, to the median of the last window.
pub(crate) struct Envoy {
    limit: f64,
    /// Seconds. Measured while there is an earlier limit to come back to.
    shortest: f64,
    measuring: Option<f64>,
    samples: Vec<f64>,
    window_ends: Duration,
    measure_at: Duration,
    dice: fastrand::Rng,
}

impl Envoy {
    const LEAST: f64 = 3.0;
    const MOST: f64 = 1000.0;

    pub(crate) fn new(seed: u64) -> Self {
        Self {
            limit: Self::LEAST,
            shortest: 0.0,
            measuring: Some(Self::LEAST),
            samples: Vec::new(),
            window_ends: Duration::ZERO,
            measure_at: Duration::MAX,
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    fn median(&mut self) -> f64 {
        let middle = self.samples.len() / 2;
        let median = *self.samples.select_nth_unstable_by(middle, f64::total_cmp).1;
        self.samples.clear();
        median
    }
}

impl Rule for Envoy {
    fn limit(&self) -> usize {
        self.limit as usize
    }

    fn learn(&mut self, seen: Seen) {
        const WINDOW: Duration = Duration::from_millis(100);
        const EVERY: Duration = Duration::from_secs(60);
        const JITTER: f64 = 0.1;
        const REQUESTS: usize = 50;
        const BUFFER: f64 = 0.25;
        if self.measuring.is_none() && seen.now >= self.measure_at {
            self.measuring = Some(self.limit);
            self.limit = Self::LEAST;
            self.samples.clear();
        }
        // Cancelled and late ones are samples as well.
        self.samples.push(seen.took.as_secs_f64());
        if let Some(before) = self.measuring {
            if self.samples.len() >= REQUESTS {
                self.shortest = self.median();
                (self.measuring, self.limit) = (None, before);
                self.window_ends = seen.now + WINDOW;
                self.measure_at = seen.now + EVERY.mul_f64(1.0 + JITTER * self.dice.f64());
            }
        } else if seen.now >= self.window_ends {
            let gradient = (self.shortest * (1.0 + BUFFER) / self.median()).clamp(0.5, 2.0);
            let next = self.limit * gradient;
            self.limit = (next + next.sqrt()).clamp(Self::LEAST, Self::MOST);
            self.window_ends = seen.now + WINDOW;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(took: u64, in_flight: usize) -> Seen {
        Seen { now: Duration::ZERO, took: Duration::from_millis(took), in_flight, dropped: false }
    }

    #[test]
    fn aimd_grows_by_one_when_half_used_and_shrinks_by_a_tenth() {
        let mut rule = Aimd { limit: 20 };
        rule.learn(seen(10, 10));
        assert_eq!(rule.limit(), 21);
        rule.learn(seen(10, 2));
        assert_eq!(rule.limit(), 21);
        rule.limit = 30;
        rule.learn(Seen { dropped: true, ..seen(10, 30) });
        assert_eq!(rule.limit(), 27);
    }

    #[test]
    fn vegas_steps_as_netflix_has_it() {
        let mut rule = Vegas { limit: 10.0, shortest: Duration::from_millis(10), ..Vegas::new(1) };
        rule.learn(seen(10, 11));
        assert_eq!(rule.limit(), 16);
        rule.limit = 10.0;
        rule.learn(seen(50, 11));
        assert_eq!(rule.limit(), 9);
        rule.limit = 14.0;
        rule.learn(seen(14, 14));
        assert_eq!(rule.limit(), 14);
    }

    #[test]
    fn gradient2_shrinks_by_what_is_slower_than_in_the_long_run() {
        let mut rule = Gradient2 { limit: 100.0, ..Gradient2::new() };
        (0..20).for_each(|_| rule.learn(seen(10, 100)));
        assert!(rule.limit() > 100);
        let before = rule.limit();
        rule.learn(seen(100, 100));
        assert!(rule.limit() < before);
        let before = rule.limit();
        (0..100).for_each(|_| rule.learn(seen(1, 2)));
        assert_eq!(rule.limit(), before);
    }

    #[test]
    fn envoy_measures_at_its_least_and_comes_back() {
        let mut rule = Envoy::new(1);
        (0..50).for_each(|_| rule.learn(seen(10, 3)));
        assert_eq!((rule.limit(), rule.measuring), (3, None));
        let later = |millis| Seen { now: Duration::from_millis(millis), ..seen(10, 3) };
        rule.learn(later(101));
        // 3 × 1.25 and the root of it.
        assert_eq!(rule.limit(), 5);
        rule.learn(later(70_000));
        assert_eq!((rule.limit(), rule.measuring.is_some()), (3, true));
        (0..50).for_each(|_| rule.learn(later(70_001)));
        assert_eq!(rule.limit(), 5);
    }
}
