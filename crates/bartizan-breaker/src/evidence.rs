//! The evidence rule's sum: what failures add and successes take off.

use crate::rule::Evidence;

/// What one call says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Good,
    /// Throttled, or good and slow: half a failure.
    Doubtful,
    Bad,
}

#[derive(Debug)]
pub(crate) struct Cusum {
    sum: f32,
    threshold: f32,
    /// What a failure adds and what a success takes off.
    step_up: f32,
    step_down: f32,
    /// Moving average of failures, where it is learnt.
    average: Option<f32>,
    /// Calls seen when the average was last brought up to date.
    averaged: u64,
    /// When the sum left zero.
    left_zero: u64,
}

/// Calls over which the share of failures is averaged.
const MEMORY: f32 = 4096.0;

impl Cusum {
    pub(crate) fn new(rule: &Evidence) -> Self {
        let mut cusum = Self {
            sum: 0.0,
            threshold: rule.threshold as f32,
            step_up: 0.0,
            step_down: 0.0,
            average: rule.learning.then_some(0.0),
            averaged: 0,
            left_zero: 0,
        };
        cusum.set_shares(rule.normal, rule.outage);
        cusum
    }

    /// Takes over another rule and keeps the sum, and the average where both learn.
    pub(crate) fn update(&mut self, rule: &Evidence) {
        let old = std::mem::replace(self, Self::new(rule));
        self.sum = old.sum.min(self.threshold);
        self.left_zero = old.left_zero;
        if let (Some(_), Some(average)) = (self.average, old.average) {
            (self.average, self.averaged) = (Some(average), old.averaged);
            self.learn(average);
        }
    }

    /// Log-likelihood ratios of a failure and of a success between the two shares.
    fn set_shares(&mut self, normal: f64, outage: f64) {
        self.step_up = (outage / normal).ln() as f32;
        self.step_down = ((1.0 - normal) / (1.0 - outage)).ln() as f32;
    }

    /// Adds what a call says, and returns whether that trips. `calls` counts the calls seen so far, `now` is in nanoseconds.
    pub(crate) fn add(&mut self, sign: Sign, now: u64, calls: u64) -> bool {
        let step = match sign {
            Sign::Good => {
                self.sum = (self.sum - self.step_down).max(0.0);
                return false;
            }
            Sign::Doubtful => self.step_up / 2.0,
            Sign::Bad => {
                self.average_in(calls);
                self.step_up
            }
        };
        if self.sum == 0.0 {
            self.left_zero = now;
        }
        self.sum = (self.sum + step).min(self.threshold);
        self.sum >= self.threshold && now.saturating_sub(self.left_zero) >= crate::nanos(Evidence::MIN_SPAN)
    }

    /// Brings the average up to date at a failure: with all the successes since the last one, then with the failure. Frozen while
    /// an outage may be under way, or it would come to be normal.
    fn average_in(&mut self, calls: u64) {
        let Some(average) = self.average else { return };
        let since = calls.saturating_sub(std::mem::replace(&mut self.averaged, calls));
        if self.sum > self.threshold / 2.0 {
            return;
        }
        let kept = (1.0 - 1.0 / MEMORY).powf(since.min(1 << 20) as f32);
        let average = average * kept + (1.0 - average * kept) / MEMORY;
        self.average = Some(average);
        self.learn(average);
    }

    fn learn(&mut self, average: f32) {
        let normal = (1.25 * f64::from(average)).clamp(0.05, 0.25);
        self.set_shares(normal, (normal + 0.35).max(0.4));
    }

    pub(crate) fn clear(&mut self) {
        self.sum = 0.0;
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.sum == 0.0
    }

    /// The sum as a share of the threshold.
    pub(crate) fn share(&self) -> f64 {
        f64::from(self.sum / self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Calls to the trip at 100 calls a second, the verdicts given by `bad`.
    fn calls_to_trip(cusum: &mut Cusum, mut bad: impl FnMut() -> bool, most: u64) -> Option<u64> {
        (1..=most).find(|call| {
            let sign = if bad() { Sign::Bad } else { Sign::Good };
            cusum.add(sign, call * 10 * MS, *call)
        })
    }

    #[test]
    fn ten_failures_in_a_row_trip_the_default_and_six_an_endpoint() {
        assert_eq!(calls_to_trip(&mut Cusum::new(&Evidence::new()), || true, 100), Some(10));
        assert_eq!(calls_to_trip(&mut Cusum::new(&Evidence::new().learning()), || true, 100), Some(6));
    }

    #[test]
    fn a_half_trips_soon_and_a_fifth_does_not() {
        let mut dice = fastrand::Rng::with_seed(1);
        let mut mean = |share: f64, runs: u64, most: u64| {
            let mut run = || {
                calls_to_trip(&mut Cusum::new(&Evidence::new()), || dice.f64() < share, most).unwrap_or(most)
            };
            (0..runs).map(|_| run()).sum::<u64>() / runs
        };
        assert!(mean(0.5, 500, 10_000) <= 120);
        assert!(mean(0.2, 20, 100_000) >= 90_000);
    }

    #[test]
    fn a_blow_at_one_instant_does_not_trip() {
        let mut cusum = Cusum::new(&Evidence::new());
        assert!((0..100).all(|_| !cusum.add(Sign::Bad, 7 * MS, 0)));
        assert!((cusum.share() - 1.0).abs() < 1e-6, "never above the threshold");
        assert!(!cusum.add(Sign::Bad, 57 * MS - 1, 0));
        assert!(cusum.add(Sign::Bad, 57 * MS, 0));
    }

    #[test]
    fn doubtful_calls_weigh_half() {
        let mut cusum = Cusum::new(&Evidence::new());
        cusum.add(Sign::Doubtful, 0, 0);
        let half = cusum.share();
        cusum.add(Sign::Doubtful, 0, 0);
        assert!((cusum.share() - 2.0 * half).abs() < 1e-6);
        cusum.add(Sign::Good, 0, 0);
        assert!(cusum.is_zero());
    }

    #[test]
    fn a_learnt_share_of_failures_comes_to_be_normal() {
        let mut cusum = Cusum::new(&Evidence::new().learning());
        let mut dice = fastrand::Rng::with_seed(3);
        for call in 0..40_000u64 {
            let sign = if dice.f64() < 0.1 { Sign::Bad } else { Sign::Good };
            cusum.add(sign, call * MS, call);
        }
        let learnt = cusum.average.expect("it learns");
        assert!((learnt - 0.1).abs() < 0.03, "{learnt}");
        assert_eq!(calls_to_trip(&mut cusum, || dice.f64() < 0.1, 1_000_000), None);
    }
}
