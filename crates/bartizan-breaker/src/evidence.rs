//! The evidence rule's sum: what failures add and successes take off.

use crate::rule::Evidence;
use std::num::NonZeroU16;

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
    /// The rule's shares: what is normal, up to where that is learnt, and what is an outage.
    shares: [Share; 3],
    /// Moving average of failures.
    average: f32,
    /// Calls seen when the average was last brought up to date.
    averaged: u32,
    /// Calls over which the share of failures is averaged.
    memory: NonZeroU16,
    /// When the sum left zero.
    left_zero: u64,
}

/// A share in two bytes.
#[derive(Clone, Copy, Debug)]
struct Share(u16);

impl Share {
    /// The least distance of two shares.
    const GRAIN: f32 = 1.0 / u16::MAX as f32;

    /// Neither nothing nor all, of which there are no likelihoods.
    fn new(share: f64) -> Self {
        Self(((share * f64::from(u16::MAX)).round() as u16).clamp(1, u16::MAX - 2))
    }

    fn get(self) -> f32 {
        f32::from(self.0) / f32::from(u16::MAX)
    }
}

impl Cusum {
    pub(crate) fn new(rule: &Evidence) -> Self {
        let mut cusum = Self {
            sum: 0.0,
            threshold: (rule.threshold as f32).max(f32::MIN_POSITIVE),
            step_up: 0.0,
            step_down: 0.0,
            shares: [rule.normal, rule.most_normal, rule.outage].map(Share::new),
            average: 0.0,
            memory: NonZeroU16::new(rule.memory).unwrap_or(NonZeroU16::MIN),
            averaged: 0,
            left_zero: 0,
        };
        cusum.learn(0.0);
        cusum
    }

    /// Takes over another rule and keeps the sum and the average.
    pub(crate) fn update(&mut self, rule: &Evidence) {
        let old = std::mem::replace(self, Self::new(rule));
        self.sum = old.sum.min(self.threshold);
        self.left_zero = old.left_zero;
        self.averaged = old.averaged;
        self.learn(old.average);
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
        let since = calls.wrapping_sub(u64::from(std::mem::replace(&mut self.averaged, calls as u32))) as u32;
        if self.sum > self.threshold / 2.0 {
            return;
        }
        let memory = f32::from(self.memory.get());
        let kept = (1.0 - 1.0 / memory).powf(since as f32);
        let kept = self.average * kept;
        self.learn(kept + (1.0 - kept) / memory);
    }

    /// Takes an average of failures for normal, within bounds. The steps are the log-likelihood ratios of a failure and of a
    /// success between what is normal and what is an outage.
    fn learn(&mut self, average: f32) {
        let [least, most, outage] = self.shares.map(Share::get);
        let normal = (1.25 * average).clamp(least, most);
        let gap = if least < most { Evidence::LEAST_GAP as f32 } else { Share::GRAIN };
        let outage = outage.max(normal + gap);
        self.average = average;
        self.step_up = (outage / normal).ln();
        self.step_down = ((1.0 - normal) / (1.0 - outage)).ln();
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
        assert_eq!(calls_to_trip(&mut Cusum::new(&Evidence::new().endpoint()), || true, 100), Some(6));
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
    fn shares_at_the_edges_and_close_together_still_weigh() {
        for (normal, outage, threshold, some, enough) in [
            (1e-9, 0.5, 1000.0, 10, 100),
            (1e-9, 2e-9, 1.0, 1, 1_000),
            (0.5, 0.500_001, 1.0, 1_000, 1_000_000),
            (0.999_999, 0.999_999_9, 1.0, 1_000, 1_000_000),
            (0.25, 0.75, 1e-300, 1, 10),
        ] {
            let mut cusum = Cusum::new(&Evidence::new().shares(normal, outage).threshold(threshold));
            let calls = (1..=enough).find(|call| cusum.add(Sign::Bad, call * 100 * MS, *call));
            assert!(calls.is_some_and(|calls| calls >= some), "{normal} {outage}: {calls:?}");
            assert!((cusum.share() - 1.0).abs() < 1e-6);
            cusum.add(Sign::Good, 0, 0);
            assert!(cusum.share() < 1.0 && cusum.step_down.is_finite());
        }
    }

    #[test]
    fn a_learnt_share_of_failures_comes_to_be_normal() {
        let mut cusum = Cusum::new(&Evidence::new().endpoint());
        let mut dice = fastrand::Rng::with_seed(3);
        for call in 0..40_000u64 {
            let sign = if dice.f64() < 0.1 { Sign::Bad } else { Sign::Good };
            cusum.add(sign, call * MS, call);
        }
        let learnt = cusum.average;
        assert!((learnt - 0.1).abs() < 0.03, "{learnt}");
        cusum.averaged = 0;
        assert_eq!(calls_to_trip(&mut cusum, || dice.f64() < 0.1, 1_000_000), None);
    }
}
