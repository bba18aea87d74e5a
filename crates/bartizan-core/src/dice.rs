use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeded dice that threads share without a lock: the n-th throw depends on the seed and on n alone.
///
/// SplitMix64: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
#[derive(Debug)]
pub struct Dice(AtomicU64);

/// 2^64 divided by the golden ratio, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// Creates dice of a seed, or of one that nobody knows.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        // A hasher of std's begins with keys from the system's source of randomness.
        Self(AtomicU64::new(seed.unwrap_or_else(|| RandomState::new().hash_one(()))))
    }

    /// Begins anew with a seed.
    pub fn reseed(&self, seed: u64) {
        self.0.store(seed, Ordering::Relaxed);
    }

    /// Hits with this probability: always from 1 on, never at 0, below, or with what is no number.
    #[must_use]
    pub fn hits(&self, share: f64) -> bool {
        // Neither certainty takes a throw, so that it does not move the others.
        if share >= 1.0 || share <= 0.0 || share.is_nan() {
            return share >= 1.0;
        }
        self.unit() < share
    }

    /// Throws a number within `0.0..1.0`.
    #[must_use]
    pub fn unit(&self) -> f64 {
        // The upper 53 bits are as many as a float holds.
        (self.throw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn throw(&self) -> u64 {
        let mut z = self.0.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_are_those_of_the_paper() {
        // The first outputs of the reference implementation for the seed 1234567.
        let dice = Dice::new(Some(1_234_567));
        let throws = [(); 3].map(|()| dice.throw());
        assert_eq!(throws, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_share_is_met_and_repeats() {
        for share in [0.01, 0.3, 0.5, 0.99] {
            let hits = |seed| {
                let dice = Dice::new(Some(seed));
                (0..10_000).map(|_| dice.hits(share)).collect::<Vec<_>>()
            };
            let hit = hits(7).into_iter().filter(|hit| *hit).count() as f64 / 10_000.0;
            // Four standard deviations of a binomial share.
            assert!(
                (hit - share).abs() < 4.0 * (share * (1.0 - share) / 10_000.0_f64).sqrt(),
                "{share}: {hit}"
            );
            assert_eq!(hits(7), hits(7));
            assert_ne!(hits(7), hits(8));
        }
        let dice = Dice::new(Some(0));
        assert!((0..100).all(|_| dice.hits(1.0) && !dice.hits(0.0)));
        assert_eq!(dice.throw(), Dice::new(Some(0)).throw(), "certainty takes no throw");
    }

    #[test]
    fn dice_without_a_seed_differ() {
        let throws: Vec<u64> = (0..4).map(|_| Dice::new(None).throw()).collect();
        assert!(throws.windows(2).any(|pair| pair[0] != pair[1]), "{throws:?}");
    }
}
