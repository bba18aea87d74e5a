use bartizan_core::Instant;
use std::time::Duration;

/// Longer than anybody waits, and short enough to be added to any instant and to be multiplied.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The shortest interval between two questions: zero would be a loop without a rest.
const SHORTEST: Duration = Duration::from_millis(1);

/// Moves a setting to where it can be waited for.
pub(crate) fn interval(wanted: Duration) -> Duration {
    wanted.clamp(SHORTEST, LONGEST)
}

/// Moves a share to within 0 to 1. What is no number is none.
pub(crate) fn share(wanted: f64) -> f64 {
    if wanted.is_nan() { 0.0 } else { wanted.clamp(0.0, 1.0) }
}

/// Makes an interval longer or shorter by up to a share of it. `unit` is a throw within 0 to 1.
pub(crate) fn spread(interval: Duration, share: f64, unit: f64) -> Duration {
    interval.mul_f64(1.0 - share + 2.0 * share * unit)
}

/// How long to wait after so many failures in a row: a second, then twice as long each time, at most `most`. Up to half of it is
/// left out by the throw, so that those who failed together do not come back together.
pub(crate) fn back_off(failures: u32, most: Duration, unit: f64) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(most).mul_f64(1.0 - unit / 2.0)
}

/// When it is time again, one `step` after it was due last. What has been missed meanwhile is left out and not made up for.
pub(crate) fn next(due: Instant, step: Duration, now: Instant) -> Instant {
    let next = due + step;
    if next >= now {
        return next;
    }
    let missed = (now - next).as_nanos() / step.as_nanos().max(1) + 1;
    next + step.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn settings_are_moved_to_where_they_make_sense() {
        assert_eq!([Duration::ZERO, millis(7), Duration::MAX].map(interval), [SHORTEST, millis(7), LONGEST]);
        assert_eq!([f64::NAN, -1.0, 0.3, f64::INFINITY].map(share), [0.0, 0.0, 0.3, 1.0]);
    }

    #[test]
    fn an_interval_is_spread_to_both_sides() {
        let spread = |unit| spread(millis(1000), 0.1, unit);
        assert_eq!([0.0, 0.5, 1.0].map(spread), [millis(900), millis(1000), millis(1100)]);
    }

    #[test]
    fn failures_back_off_to_the_most_and_at_least_to_half_of_it() {
        let waits = [1, 2, 3, 6, u32::MAX].map(|failures| back_off(failures, millis(30_000), 0.0));
        assert_eq!(waits, [1, 2, 4, 30, 30].map(Duration::from_secs));
        assert_eq!(back_off(3, millis(30_000), 1.0), millis(2000));
        assert_eq!(back_off(0, millis(10), 0.0), millis(10));
    }

    #[test]
    fn what_was_missed_is_left_out() {
        let start = Instant::now();
        for (now, expected) in [(0, 100), (99, 100), (100, 100), (101, 200), (200, 300), (350, 400)] {
            assert_eq!(
                next(start, millis(100), start + millis(now)) - start,
                millis(expected),
                "at {now} ms"
            );
        }
    }
}
