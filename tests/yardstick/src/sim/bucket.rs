//! An exact token bucket in whole nanoseconds, beside which rate limits are judged.

use std::time::Duration;

/// A bucket that holds the time in which its tokens come: a token costs an interval, and each nanosecond brings one.
///
/// What is written here is the bucket as textbooks have it, a level that rises with time. It shares nothing with a limiter that keeps
/// the time at which it will be full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    interval: u128,
    capacity: u128,
    level: u128,
    /// When the level was that, in nanoseconds since the beginning.
    at: u128,
}

impl Bucket {
    /// A full bucket of `burst` tokens, of which one comes in each `interval`.
    pub(crate) fn new(interval: Duration, burst: u32) -> Self {
        let interval = interval.as_nanos();
        let capacity = interval * u128::from(burst);
        Self { interval, capacity, level: capacity, at: 0 }
    }

    /// Takes `cost` tokens at `now`, or says how long it takes until they are there: `None` if they never are.
    pub(crate) fn take(&mut self, now: Duration, cost: u32) -> Result<(), Option<Duration>> {
        self.fill(now);
        let price = self.interval * u128::from(cost);
        if price > self.capacity {
            return Err(None);
        }
        match self.level.checked_sub(price) {
            Some(left) => {
                self.level = left;
                Ok(())
            }
            None => Err(Some(nanos(price - self.level))),
        }
    }

    /// How many tokens are there at `now`.
    pub(crate) fn tokens(&mut self, now: Duration) -> u64 {
        self.fill(now);
        u64::try_from(self.level / self.interval).unwrap_or(u64::MAX)
    }

    /// How long it takes until there is one token more. Zero if the bucket is full.
    pub(crate) fn next(&mut self, now: Duration) -> Duration {
        self.fill(now);
        if self.level == self.capacity {
            return Duration::ZERO;
        }
        nanos(self.interval - self.level % self.interval)
    }

    fn fill(&mut self, now: Duration) {
        let now = now.as_nanos();
        self.level = self.capacity.min(self.level + (now - self.at));
        self.at = now;
    }
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(200);

    fn at(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    #[test]
    fn a_token_comes_at_its_nanosecond() {
        let mut bucket = Bucket::new(INTERVAL, 5);
        assert_eq!((0..5).filter(|_| bucket.take(at(0), 1).is_ok()).count(), 5);
        assert_eq!(bucket.take(at(0), 1), Err(Some(INTERVAL)));
        assert_eq!(bucket.take(at(199_999_999), 1), Err(Some(at(1))));
        assert_eq!(bucket.take(at(200_000_000), 1), Ok(()));
        assert_eq!(bucket.take(at(200_000_000), 1), Err(Some(INTERVAL)));
    }

    #[test]
    fn it_is_full_after_a_rest_and_no_fuller() {
        let mut bucket = Bucket::new(INTERVAL, 5);
        assert_eq!(bucket.take(at(0), 5), Ok(()));
        assert_eq!(bucket.tokens(at(500_000_000)), 2);
        assert_eq!(bucket.next(at(500_000_000)), Duration::from_millis(100));
        assert_eq!(bucket.tokens(Duration::from_secs(31_536_000)), 5);
        assert_eq!(bucket.next(Duration::from_secs(31_536_000)), Duration::ZERO);
    }

    #[test]
    fn what_costs_more_than_the_burst_never_passes() {
        let mut bucket = Bucket::new(INTERVAL, 5);
        assert_eq!(bucket.take(at(0), 6), Err(None));
        assert_eq!(bucket.take(at(0), 5), Ok(()));
        assert_eq!(bucket.take(at(0), 3), Err(Some(Duration::from_millis(600))));
    }
}
