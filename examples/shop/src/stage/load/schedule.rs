//! When customers come.

use std::time::Duration;

/// Arrivals at random, with exponential gaps, as those who do not know of each other arrive: some at once, then nobody
/// for a while. Each is the time since the start; they end where the load ends. The same seed gives the same arrivals.
#[derive(Debug)]
pub(super) struct Schedule {
    gap: f64,
    ends: f64,
    next: f64,
    dice: fastrand::Rng,
}

impl Schedule {
    /// `rate` arrivals a second on average; at least one.
    pub(super) fn new(rate: u32, lasts: Duration, seed: u64) -> Self {
        let gap = 1.0 / f64::from(rate.max(1));
        Self { gap, ends: lasts.as_secs_f64(), next: 0.0, dice: fastrand::Rng::with_seed(seed) }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // The die is below 1, so that the logarithm is of something.
        self.next -= (1.0 - self.dice.f64()).ln() * self.gap;
        (self.next < self.ends).then(|| Duration::from_secs_f64(self.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate: u32, seconds: u64, seed: u64) -> Vec<Duration> {
        Schedule::new(rate, Duration::from_secs(seconds), seed).collect()
    }

    #[test]
    fn arrivals_are_as_many_as_the_rate_says() {
        for seed in 0..20 {
            let came = arrivals(100, 100, seed).len();
            // Of 10 000 the standard deviation is 100.
            assert!(came.abs_diff(10_000) < 500, "{came} of 10000 with seed {seed}");
        }
    }

    #[test]
    fn arrivals_are_in_order_and_end_with_the_load() {
        let came = arrivals(1000, 2, 7);
        assert!(came.is_sorted());
        assert!(came.iter().all(|at| *at < Duration::from_secs(2)));
        assert!(came.last().is_some_and(|last| *last > Duration::from_millis(1900)));
    }

    #[test]
    fn gaps_are_exponential() {
        let came = arrivals(1000, 20, 3);
        let gaps: Vec<_> = came.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let longer = gaps.iter().filter(|gap| **gap > mean).count() as f64 / gaps.len() as f64;
        // One in e is longer than the mean; of even gaps it would be half of them or none.
        assert!((longer - (-1.0_f64).exp()).abs() < 0.02, "{longer}");
    }

    #[test]
    fn a_seed_gives_the_same_arrivals_again() {
        assert_eq!(arrivals(50, 10, 1), arrivals(50, 10, 1));
        assert_ne!(arrivals(50, 10, 1), arrivals(50, 10, 2));
    }
}
