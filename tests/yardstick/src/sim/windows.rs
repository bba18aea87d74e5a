//! Whether more was admitted in some window than a rate allows.

use std::time::Duration;

use super::limiters::Rate;

/// Calls that were admitted at some time of a span, ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) calls: u64,
}

/// By how many calls some window W holds more than burst + rate × W, at worst. Nought where none does.
///
/// A window that begins at the earliest `from` and ends at the latest `to` of some calls has held them all, so what is found is
/// true; where calls are known to the nanosecond, nothing is missed.
pub(crate) fn excess(mut admitted: Vec<Admitted>, rate: Rate) -> u64 {
    const SECOND: i128 = 1_000_000_000;
    let nanos = |time: Duration| time.as_nanos() as i128 * i128::from(rate.per_second);
    admitted.sort_unstable_by_key(|calls| calls.to);
    // The earliest beginning of these calls and of all that ended later.
    let mut earliest = i128::MAX;
    let mut begins: Vec<i128> = admitted
        .iter()
        .rev()
        .map(|calls| {
            earliest = earliest.min(nanos(calls.from));
            earliest
        })
        .collect();
    begins.reverse();

    // Of the windows that end here, the one whose beginning leaves most above the rate; all in 10⁻⁹ calls.
    let (mut before, mut best, mut worst) = (0_i128, i128::MIN, 0_i128);
    for (calls, begin) in admitted.iter().zip(begins) {
        best = best.max(begin - before * SECOND);
        before += i128::from(calls.calls);
        worst = worst.max(before * SECOND - nanos(calls.to) + best - i128::from(rate.burst) * SECOND);
    }
    // Whole calls: what is less than one above came a fraction of a token too early.
    u64::try_from((worst + SECOND - 1) / SECOND).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 5, burst: 5 };

    fn at(millis: u64, calls: u64) -> Admitted {
        let time = Duration::from_millis(millis);
        Admitted { from: time, to: time, calls }
    }

    #[test]
    fn a_burst_and_the_rate_are_no_excess() {
        assert_eq!(excess(vec![], RATE), 0);
        assert_eq!(excess(vec![at(0, 5), at(200, 1), at(400, 1), at(1400, 5)], RATE), 0);
    }

    #[test]
    fn one_nanosecond_too_early_is() {
        let early = Duration::from_nanos(199_999_999);
        assert_eq!(excess(vec![at(0, 5), Admitted { from: early, to: early, calls: 1 }], RATE), 1);
        assert_eq!(excess(vec![at(1000, 5), at(0, 1), at(1001, 5)], RATE), 5, "a window's edge");
    }

    #[test]
    fn who_may_have_come_in_time_is_given_the_doubt() {
        let late = Admitted { from: Duration::from_millis(100), to: Duration::from_millis(200), calls: 1 };
        assert_eq!(excess(vec![at(0, 5), late], RATE), 0);
        let early = Admitted { from: Duration::from_millis(100), to: Duration::from_millis(199), calls: 1 };
        assert_eq!(excess(vec![at(0, 5), early], RATE), 1);
    }
}
