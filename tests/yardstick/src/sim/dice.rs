//! Dice that fall alike for everybody who is measured.

use std::{f64::consts::TAU, time::Duration};

use fastrand::Rng;

/// The dice of one thing in one run, whoever throws them and whenever: `what` says which of that kind, `copy` which copy of it.
pub(crate) fn of(seed: u64, what: u64, copy: u64) -> Rng {
    let mixed =
        [seed, what, copy].into_iter().fold(0x9E37_79B9_7F4A_7C15_u64, |mixed, part| mix(mixed ^ mix(part)));
    Rng::with_seed(mixed)
}

/// The finalizer of SplitMix64.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// A number of the standard normal distribution.
pub(crate) fn normal(dice: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - dice.f64()).ln()).sqrt();
    radius * (TAU * dice.f64()).cos()
}

/// A time of the exponential distribution.
pub(crate) fn exponential(dice: &mut Rng, mean: Duration) -> Duration {
    mean.mul_f64(-(1.0 - dice.f64()).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats;

    #[test]
    fn the_same_thing_has_the_same_dice_and_no_other_has() {
        let throw = |seed, what, copy| of(seed, what, copy).u64(..);
        assert_eq!(throw(1, 2, 3), throw(1, 2, 3));
        for other in [throw(2, 2, 3), throw(1, 3, 3), throw(1, 2, 4), throw(2, 1, 3)] {
            assert_ne!(throw(1, 2, 3), other);
        }
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut dice = Rng::with_seed(1);
        let normal: Vec<f64> = (0..100_000).map(|_| normal(&mut dice)).collect();
        let squares: Vec<f64> = normal.iter().map(|number| number * number).collect();
        assert!(stats::mean(&normal).abs() < 0.02);
        assert!((stats::mean(&squares) - 1.0).abs() < 0.02);

        let times: Vec<f64> = (0..100_000)
            .map(|what| exponential(&mut of(1, what, 0), Duration::from_secs(1)).as_secs_f64())
            .collect();
        assert!((stats::mean(&times) - 1.0).abs() < 0.02);
    }
}
