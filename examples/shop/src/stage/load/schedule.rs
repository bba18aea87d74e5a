//! When customers come.

use super::profile::{Piece, Profile};
use std::time::Duration;
use std::vec::IntoIter;

/// Arrivals at random, with exponential gaps, as those who do not know of each other arrive: some at once, then nobody
/// for a while. Each is the time since the start; they end where the load ends. The same seed gives the same arrivals.
#[derive(Debug)]
pub(super) struct Schedule {
    pieces: IntoIter<Piece>,
    piece: Option<Piece>,
    /// When the piece begins, and how many are expected to have come until then.
    begins: f64,
    before: f64,
    /// Who is next comes when so many are expected to have come.
    next: f64,
    dice: fastrand::Rng,
}

impl Schedule {
    pub(super) fn new(profile: &Profile, lasts: Duration, seed: u64) -> Self {
        let mut pieces = profile.pieces(lasts).into_iter();
        let (piece, dice) = (pieces.next(), fastrand::Rng::with_seed(seed));
        Self { pieces, piece, begins: 0.0, before: 0.0, next: 0.0, dice }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // The die is below 1, so that the logarithm is of something.
        self.next -= (1.0 - self.dice.f64()).ln();
        loop {
            let piece = self.piece?;
            let within = self.next - self.before;
            if within < piece.arrivals() {
                return Some(Duration::from_secs_f64(self.begins + piece.reaches(within)));
            }
            self.begins += piece.seconds;
            self.before += piece.arrivals();
            self.piece = self.pieces.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate: u32, seconds: u64, seed: u64) -> Vec<Duration> {
        Schedule::new(&Profile::Steady(rate), Duration::from_secs(seconds), seed).collect()
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

    #[test]
    fn a_ramp_and_steps_have_the_rates_that_they_are_asked_for() {
        let profiles =
            [Profile::Ramp(100, 900), Profile::Ramp(900, 100), Profile::Steps(vec![200, 800, 400])];
        let fifths = [[180, 340, 500, 660, 820], [820, 660, 500, 340, 180], [200, 400, 800, 533, 400]];
        for (profile, rates) in profiles.iter().zip(fifths) {
            let came: Vec<_> = Schedule::new(profile, Duration::from_secs(100), 9).collect();
            assert!(came.is_sorted());
            for (nth, rate) in rates.into_iter().enumerate() {
                let came = came.iter().filter(|at| at.as_secs() as usize / 20 == nth).count();
                // Four standard deviations.
                let expected = rate * 20;
                assert!(came.abs_diff(expected) < 4 * expected.isqrt(), "{came} of {expected}: {profile:?}");
            }
        }
    }
}
