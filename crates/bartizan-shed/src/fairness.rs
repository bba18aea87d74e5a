//! Fairness between keys, stochastic: keys that fall into one bucket are one (P. E. McKenney, "Stochastic fairness queueing",
//! INFOCOM 1990). The memory is the buckets, however many keys there are.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

const BUCKETS: usize = 1024;

/// How many of each bucket are in flight.
#[derive(Debug)]
pub(crate) struct Fairness {
    in_flight: Box<[AtomicU32]>,
    /// Buckets of which somebody is in flight.
    active: AtomicU32,
    /// Changes now and then, so that no two keys share a bucket for long.
    salt: AtomicU64,
}

/// A bucket, held by a request until it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket(pub(crate) u16);

impl Fairness {
    pub(crate) fn new() -> Self {
        let in_flight = (0..BUCKETS).map(|_| AtomicU32::new(0)).collect();
        Self { in_flight, active: AtomicU32::new(0), salt: AtomicU64::new(0) }
    }

    pub(crate) fn bucket(&self, key: u64) -> Bucket {
        let mixed = (key ^ self.salt.load(Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Bucket((mixed >> 54) as u16)
    }

    /// Spreads the keys anew. Those in flight keep their buckets.
    pub(crate) fn stir(&self) {
        self.salt.fetch_add(0xbf58_476d_1ce4_e5b9, Relaxed);
    }

    /// Whether the bucket has more in flight than the mean of those that have any.
    pub(crate) fn is_beyond_share(&self, bucket: Bucket, in_flight: u64) -> bool {
        let mine = u64::from(self.in_flight[usize::from(bucket.0)].load(Relaxed));
        mine > 0 && mine * u64::from(self.active.load(Relaxed)) > in_flight
    }

    pub(crate) fn enter(&self, bucket: Bucket) {
        if self.in_flight[usize::from(bucket.0)].fetch_add(1, Relaxed) == 0 {
            self.active.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn leave(&self, bucket: Bucket) {
        if self.in_flight[usize::from(bucket.0)].fetch_sub(1, Relaxed) == 1 {
            self.active.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_more_than_the_mean_is_beyond_its_share() {
        let fairness = Fairness::new();
        let [hog, light, new] = [1, 2, 3].map(|key| fairness.bucket(key));
        assert!(hog != light && light != new && new != hog);
        (0..9).for_each(|_| fairness.enter(hog));
        fairness.enter(light);
        assert!(fairness.is_beyond_share(hog, 10));
        assert!(!fairness.is_beyond_share(light, 10) && !fairness.is_beyond_share(new, 10));
        (0..9).for_each(|_| fairness.leave(hog));
        assert!(!fairness.is_beyond_share(light, 1), "alone, it has what there is");
        fairness.leave(light);
        assert_eq!(fairness.active.load(Relaxed), 0);
    }

    #[test]
    fn stirred_keys_fall_elsewhere() {
        let fairness = Fairness::new();
        let before: Vec<Bucket> = (0..64).map(|key| fairness.bucket(key)).collect();
        fairness.stir();
        let moved = (0..64).zip(before).filter(|(key, before)| fairness.bucket(*key) != *before).count();
        assert!(moved > 60, "{moved}");
    }
}
