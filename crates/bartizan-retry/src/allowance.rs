use bartizan_core::Invalid;
use std::time::Duration;

/// How many retries a call is worth, by the time that it has taken: fewer and fewer, so that it gives up late rather than early.
///
/// After the time t it is N / (1 + e^(k(t − T))): nearly N in the beginning, half of it at T, and soon none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    pub(crate) most: f64,
    pub(crate) half: Duration,
    pub(crate) steepness: f64,
}

const NO_MOST: &str = "allowance: most must be finite, and above zero";
const NO_STEEPNESS: &str = "allowance: steepness must be finite, and above zero";

impl Allowance {
    /// Creates an allowance of `most` retries (N), of which half are left after `half` (T), and which falls there by `steepness` (k, per
    /// second).
    ///
    /// # Panics
    ///
    /// When `most` or `steepness` is not above zero, or infinite; [`try_new`](Self::try_new) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn new(most: f64, half: Duration, steepness: f64) -> Self {
        match Self::try_new(most, half, steepness) {
            Ok(allowance) => allowance,
            Err(why) => panic!("{why}"),
        }
    }

    /// Creates an allowance, as [`new`](Self::new) does.
    ///
    /// # Errors
    ///
    /// When `most` or `steepness` is not above zero, or infinite.
    pub fn try_new(most: f64, half: Duration, steepness: f64) -> Result<Self, Invalid> {
        if !most.is_finite() || most <= 0.0 {
            return Err(Invalid::new("allowance", NO_MOST));
        }
        if !steepness.is_finite() || steepness <= 0.0 {
            return Err(Invalid::new("allowance", NO_STEEPNESS));
        }
        Ok(Self { most, half, steepness })
    }

    /// Whether a further retry is worth it, after so many of them and so much time.
    pub(crate) fn allows(&self, retries: u32, spent: Duration) -> bool {
        let late = spent.as_secs_f64() - self.half.as_secs_f64();
        f64::from(retries) + 1.0 <= self.most / (1.0 + (self.steepness * late).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_with_the_time_spent() {
        let allowance = Allowance::new(8.0, Duration::from_secs(2), 4.0);
        let allowed = |ms| (0..).take_while(|n| allowance.allows(*n, Duration::from_millis(ms))).count();
        assert_eq!([0, 1000, 2000, 3000, 4000].map(allowed), [7, 7, 4, 0, 0]);
        assert!(!allowance.allows(0, Duration::MAX));
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Allowance::try_new(wrong, Duration::ZERO, 1.0).is_err());
            assert!(Allowance::try_new(1.0, Duration::ZERO, wrong).is_err());
        }
    }
}
