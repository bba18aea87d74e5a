use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The first bucket ends at 2 to the power of this many nanoseconds, about a microsecond.
const LEAST: u32 = 10;
/// Buckets from one power of two to the next.
const PARTS: usize = 4;
/// Buckets that have an end. That of the last is seven quarters of 2 to the power of 35 nanoseconds: about 60 seconds.
const BOUNDED: usize = 26 * PARTS;
/// One more for all that is longer.
const BUCKETS: usize = BOUNDED + 1;

/// Lengths of time that are counted, in buckets of which each is at most a quarter wider than the one before: from 1 µs to 60 s, with one
/// more below and above.
///
/// One uncontended read-modify-write records, and nothing else. It is 840 bytes.
pub struct Times([AtomicU64; BUCKETS]);

/// What [`Times`] had counted at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimesSnapshot([u64; BUCKETS]);

impl Times {
    /// Creates it empty.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }

    /// Counts one.
    #[inline]
    pub fn record(&self, time: Duration) {
        self.0[bucket(time)].fetch_add(1, Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> TimesSnapshot {
        TimesSnapshot(std::array::from_fn(|bucket| self.0[bucket].load(Relaxed)))
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        f.debug_struct("Times")
            .field("count", &snapshot.count())
            .field("median", &snapshot.quantile(0.5))
            .finish()
    }
}

/// The bucket of a length of time. An end belongs to the bucket that it ends.
fn bucket(time: Duration) -> usize {
    // What a `u64` of nanoseconds does not hold is longer than all ends.
    let Ok(nanos) = u64::try_from(time.as_nanos()) else { return BOUNDED };
    let nanos = nanos.saturating_sub(1);
    let Some(power) = nanos.checked_ilog2().filter(|power| *power >= LEAST) else { return 0 };
    // The two bits below the highest say which quarter it is.
    let quarter = (nanos >> (power - 2)) & 3;
    let bucket = (power - LEAST) as usize * PARTS + quarter as usize + 1;
    bucket.min(BOUNDED)
}

impl TimesSnapshot {
    /// Lengths of time that were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many were counted in each bucket, with the longest time of that bucket; the last has none.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        self.0.iter().enumerate().map(|(bucket, count)| (Self::end(bucket), *count))
    }

    /// The longest time of the bucket in which the share `quantile` of all is reached, `None` of none. What is beyond all buckets is told as
    /// the end of the last.
    ///
    /// The share is taken as the nearest in `0.0..=1.0`. The answer is never too short, and at most a quarter too long.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank needs no more digits than an `f64` has"
    )]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((count as f64 * quantile.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.0.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Self::end(reached.min(BOUNDED - 1))
    }

    /// What was counted between an earlier snapshot and this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|bucket| self.0[bucket].saturating_sub(earlier.0[bucket])))
    }

    /// What was counted in either.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|bucket| self.0[bucket].saturating_add(other.0[bucket])))
    }

    fn end(bucket: usize) -> Option<Duration> {
        let quarters = (bucket + PARTS - 1) % PARTS + 1;
        let power = LEAST as usize + bucket.checked_sub(1).map_or(0, |before| before / PARTS);
        let quarters = if bucket == 0 { 0 } else { quarters as u64 };
        (bucket < BOUNDED)
            .then(|| Duration::from_nanos((1 << power) + quarters * (1 << power) / PARTS as u64))
    }
}

/// Puts together what [`buckets`](TimesSnapshot::buckets) tells, of another process say. A time that is no end is counted
/// in the bucket that it falls into; a bucket counts to 2⁶⁴ − 1, and no further.
impl FromIterator<(Option<Duration>, u64)> for TimesSnapshot {
    fn from_iter<I: IntoIterator<Item = (Option<Duration>, u64)>>(counted: I) -> Self {
        let mut snapshot = Self::default();
        for (end, count) in counted {
            let of = &mut snapshot.0[end.map_or(BOUNDED, bucket)];
            *of = of.saturating_add(count);
        }
        snapshot
    }
}

impl Default for TimesSnapshot {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[Duration]) -> TimesSnapshot {
        let counted = Times::new();
        times.iter().for_each(|time| counted.record(*time));
        counted.snapshot()
    }

    #[test]
    fn every_length_is_in_the_bucket_that_ends_at_it_or_next_after() {
        let ends: Vec<Duration> = TimesSnapshot::default().buckets().filter_map(|(end, _)| end).collect();
        assert_eq!(ends.len(), BOUNDED);
        assert_eq!((ends[0], ends[4]), (Duration::from_nanos(1024), Duration::from_nanos(2048)));
        for (bucket_of, end) in ends.iter().enumerate() {
            assert_eq!(bucket(*end), bucket_of, "{end:?}");
            assert_eq!(bucket(*end + Duration::from_nanos(1)), bucket_of + 1, "after {end:?}");
        }
        assert!(ends.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= pair[0] * 5 / 4));
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (0, BOUNDED));
    }

    #[test]
    fn a_quantile_is_never_too_short_and_at_most_a_quarter_too_long() {
        let times: Vec<Duration> = (1..=1000).map(Duration::from_millis).collect();
        let counted = of(&times);
        for (quantile, exact) in [(0.0, 1), (0.5, 500), (0.95, 950), (0.99, 990), (1.0, 1000)] {
            let (told, exact) = (counted.quantile(quantile).unwrap(), Duration::from_millis(exact));
            assert!(exact <= told && told <= exact * 5 / 4, "{quantile}: {told:?}");
        }
        assert_eq!(of(&[]).quantile(0.5), None);
        let longest = TimesSnapshot::end(BOUNDED - 1);
        assert_eq!(of(&[Duration::MAX]).quantile(0.5), longest);
    }

    #[test]
    fn what_was_counted_since_and_in_either() {
        let (early, late) = (of(&[Duration::ZERO]), of(&[Duration::ZERO, Duration::from_secs(1)]));
        assert_eq!(late.since(&early), of(&[Duration::from_secs(1)]));
        assert_eq!(early.and(&late).count(), 3);
    }

    #[test]
    fn what_is_told_of_the_buckets_is_all_there_is() {
        let counted =
            of(&[Duration::ZERO, Duration::from_millis(7), Duration::from_millis(7), Duration::MAX]);
        assert_eq!(counted.buckets().collect::<TimesSnapshot>(), counted);
        // As it is told in seconds.
        let seconds = counted.buckets().map(|(end, count)| (end.map(|end| end.as_secs_f64()), count));
        let read = seconds.map(|(end, count)| (end.map(Duration::from_secs_f64), count));
        assert_eq!(read.collect::<TimesSnapshot>(), counted);
    }

    #[test]
    fn a_time_that_is_no_end_is_counted_where_it_falls() {
        let (end, _) = of(&[Duration::from_millis(7)]).buckets().find(|(_, count)| *count == 1).unwrap();
        assert_ne!(end, Some(Duration::from_millis(7)));
        let read: TimesSnapshot =
            [(Some(Duration::from_millis(7)), 2), (Some(Duration::MAX), 1)].into_iter().collect();
        assert_eq!(read, of(&[Duration::from_millis(7), Duration::from_millis(7), Duration::MAX]));
        let twice: TimesSnapshot = [(None, u64::MAX), (None, 1)].into_iter().collect();
        assert_eq!(twice.count(), u64::MAX, "it does not start anew");
    }
}
