use crate::Instant;
use std::time::Duration;

/// How many successes there were lately, from a count that somebody else keeps: no clock is read when one is counted.
///
/// It is looked at now and then, and remembers two earlier looks, the older of them at least [`SPAN`](Rate::SPAN) ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    older: Look,
    newer: Look,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    count: u64,
}

impl Rate {
    /// The shortest time over which is measured: a burst of a few milliseconds is no rate.
    const SPAN: Duration = Duration::from_secs(1);

    pub(crate) const fn new(now: Instant) -> Self {
        let look = Look { at: now, count: 0 };
        Self { older: look, newer: look }
    }

    /// Looks at the count, and returns how many of it fall on such a span, in units of `1 / scale`.
    pub(crate) fn look(&mut self, count: u64, now: Instant, span: Duration, scale: u64) -> u64 {
        if now.saturating_duration_since(self.newer.at) >= Self::SPAN {
            self.older = self.newer;
            self.newer = Look { at: now, count };
        }
        let elapsed = now.saturating_duration_since(self.older.at).max(Self::SPAN);
        let counted = u128::from(count - self.older.count) * u128::from(scale);
        u64::try_from(counted.saturating_mul(span.as_nanos()) / elapsed.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at each time, in milliseconds, at a count, and expects so many a second.
    fn check(looks: &[(u64, u64, u64)]) {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        for &(millis, count, expected) in looks {
            let now = start + Duration::from_millis(millis);
            assert_eq!(rate.look(count, now, Duration::from_secs(1), 1), expected, "at {millis} ms");
        }
    }

    #[test]
    fn a_young_rate_counts_as_a_second_old() {
        check(&[(0, 0, 0), (10, 20, 20), (500, 200, 200), (1000, 400, 400)]);
    }

    #[test]
    fn asked_often_it_is_of_the_last_one_to_two_seconds() {
        // 100 a second for two seconds, then silence.
        check(&[(500, 50, 50), (1000, 100, 100), (1500, 150, 100), (2000, 200, 100)]);
        check(&[(1000, 100, 100), (2000, 200, 100), (2999, 200, 50), (3000, 200, 0), (9000, 200, 0)]);
    }

    #[test]
    fn asked_seldom_it_is_since_it_was_asked_last() {
        check(&[(60_000, 6000, 100), (120_000, 126_000, 2000), (120_500, 126_500, 1991)]);
    }

    #[test]
    fn a_time_of_the_past_is_no_harm() {
        check(&[(5000, 500, 100), (4000, 600, 150), (0, 600, 600), (6000, 700, 200)]);
    }

    #[test]
    fn it_scales_and_ends_at_the_largest_number() {
        let start = Instant::now();
        let second = start + Duration::from_secs(1);
        let look = |count, span| Rate::new(start).look(count, second, span, 1_000_000_000);
        assert_eq!(look(2000, Duration::from_millis(100)), 200_000_000_000);
        assert_eq!(look(1, Duration::from_millis(1)), 1_000_000);
        assert_eq!(look(u64::MAX, Duration::MAX), u64::MAX);
    }
}
