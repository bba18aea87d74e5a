use bartizan_core::{Dice, Invalid};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before each retry.
///
/// The default, [`exponential`](Self::exponential) from 100 ms to 1 s with full [`Jitter`], is the one that let clients which contend for
/// one thing finish soonest and with the fewest calls in M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
///
/// Two that ask a function are equal if it is the same one: the one is a clone of the other.
#[derive(Clone, PartialEq)]
pub struct Backoff {
    pub(crate) curve: Curve,
    pub(crate) factor: f64,
    pub(crate) jitter: Jitter,
}

#[derive(Clone, PartialEq)]
pub(crate) enum Curve {
    Constant(Duration),
    Linear { step: Duration, max: Duration },
    Exponential { min: Duration, max: Duration },
    Decorrelated { min: Duration, max: Duration },
    By(Function),
}

#[derive(Clone)]
pub(crate) struct Function(Arc<dyn Fn(u32) -> Option<Duration> + Send + Sync>);

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// How waits are spread, so that those who failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// Not at all.
    None,
    /// Anywhere from nothing to the whole wait.
    Full,
    /// By so large a share to either side, in `0.0..=1.0`: 0.2 is what gRPC does. Never above the back-off's longest wait.
    Within(f64),
}

const NO_RANGE: &str = "backoff: max must not be less than min";
const NO_FACTOR: &str = "factor must be finite, and at least 1.0";
const NO_JITTER: &str = "jitter must be within 0.0..=1.0";

impl Backoff {
    /// First wait of a back-off on which none was set: 100 ms, of which full jitter leaves 50 ms in the mean.
    pub const DEFAULT_MIN: Duration = Duration::from_millis(100);
    /// Longest wait of a back-off on which none was set: 1 s.
    pub const DEFAULT_MAX: Duration = Duration::from_secs(1);
    /// By what each wait is longer than the one before: 2.
    pub const DEFAULT_FACTOR: f64 = 2.0;

    /// Waits `min`, then each time [`factor`](Self::factor) as long as before, up to `max`; with full jitter.
    ///
    /// # Panics
    ///
    /// When `max` is less than `min`; [`try_exponential`](Self::try_exponential) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn exponential(min: Duration, max: Duration) -> Self {
        assert!(min.as_nanos() <= max.as_nanos(), "{}", NO_RANGE);
        Self::new(Curve::Exponential { min, max }, Jitter::Full)
    }

    /// Waits as [`exponential`](Self::exponential) does.
    ///
    /// # Errors
    ///
    /// When `max` is less than `min`.
    pub const fn try_exponential(min: Duration, max: Duration) -> Result<Self, Invalid> {
        if min.as_nanos() > max.as_nanos() {
            return Err(Invalid::new("backoff", NO_RANGE));
        }
        Ok(Self::exponential(min, max))
    }

    /// Waits `wait` each time; with full jitter. Zero retries at once, and gives way to other tasks first.
    #[must_use]
    pub const fn constant(wait: Duration) -> Self {
        Self::new(Curve::Constant(wait), Jitter::Full)
    }

    /// Waits `step`, then each time by `step` longer, up to `max`; with full jitter.
    #[must_use]
    pub const fn linear(step: Duration, max: Duration) -> Self {
        Self::new(Curve::Linear { step, max }, Jitter::Full)
    }

    /// Waits anywhere between `min` and three times the wait before, up to `max`: the "decorrelated jitter" of the article above. It
    /// takes no other jitter.
    ///
    /// # Panics
    ///
    /// When `max` is less than `min`; [`try_decorrelated`](Self::try_decorrelated) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn decorrelated(min: Duration, max: Duration) -> Self {
        assert!(min.as_nanos() <= max.as_nanos(), "{}", NO_RANGE);
        Self::new(Curve::Decorrelated { min, max }, Jitter::None)
    }

    /// Waits as [`decorrelated`](Self::decorrelated) does.
    ///
    /// # Errors
    ///
    /// When `max` is less than `min`.
    pub const fn try_decorrelated(min: Duration, max: Duration) -> Result<Self, Invalid> {
        if min.as_nanos() > max.as_nanos() {
            return Err(Invalid::new("backoff", NO_RANGE));
        }
        Ok(Self::decorrelated(min, max))
    }

    /// Asks a function for the wait before the retry of this number, from 1 on; without jitter. `None` ends the call with the failure
    /// that it has.
    #[must_use]
    pub fn by(wait: impl Fn(u32) -> Option<Duration> + Send + Sync + 'static) -> Self {
        Self::new(Curve::By(Function(Arc::new(wait))), Jitter::None)
    }

    const fn new(curve: Curve, jitter: Jitter) -> Self {
        Self { curve, factor: Self::DEFAULT_FACTOR, jitter }
    }

    /// Sets by what an exponential wait grows, at least 1. Default: [`DEFAULT_FACTOR`](Self::DEFAULT_FACTOR), 2.
    ///
    /// # Panics
    ///
    /// When `factor` is less, infinite or no number; [`try_factor`](Self::try_factor) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn factor(self, factor: f64) -> Self {
        match self.try_factor(factor) {
            Ok(backoff) => backoff,
            Err(_) => panic!("{NO_FACTOR}"),
        }
    }

    /// Sets by what an exponential wait grows, as [`factor`](Self::factor) does.
    ///
    /// # Errors
    ///
    /// When `factor` is less than 1, infinite or no number.
    pub fn try_factor(mut self, factor: f64) -> Result<Self, Invalid> {
        if !factor.is_finite() || factor < 1.0 {
            return Err(Invalid::new("factor", NO_FACTOR));
        }
        self.factor = factor;
        Ok(self)
    }

    /// Sets how waits are spread. Default: [`Jitter::Full`], but none for [`decorrelated`](Self::decorrelated) and [`by`](Self::by).
    ///
    /// # Panics
    ///
    /// When the share of [`Jitter::Within`] lies outside of `0.0..=1.0`; [`try_jitter`](Self::try_jitter) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn jitter(self, jitter: Jitter) -> Self {
        match self.try_jitter(jitter) {
            Ok(backoff) => backoff,
            Err(_) => panic!("{NO_JITTER}"),
        }
    }

    /// Sets how waits are spread, as [`jitter`](Self::jitter) does.
    ///
    /// # Errors
    ///
    /// When the share of [`Jitter::Within`] lies outside of `0.0..=1.0`.
    pub fn try_jitter(mut self, jitter: Jitter) -> Result<Self, Invalid> {
        if matches!(jitter, Jitter::Within(share) if !(0.0..=1.0).contains(&share)) {
            return Err(Invalid::new("jitter", NO_JITTER));
        }
        self.jitter = jitter;
        Ok(self)
    }

    /// The wait before the first retry, without its jitter. `None` where a function is asked.
    #[must_use]
    pub const fn first_wait(&self) -> Option<Duration> {
        match self.curve {
            Curve::Constant(wait) => Some(wait),
            Curve::Linear { step, max } if step.as_nanos() > max.as_nanos() => Some(max),
            Curve::Linear { step, .. } => Some(step),
            Curve::Exponential { min, .. } | Curve::Decorrelated { min, .. } => Some(min),
            Curve::By(_) => None,
        }
    }

    /// The shortest that the wait before the first retry can be: with full jitter zero. `None` where a function is asked.
    #[must_use]
    pub fn least_wait(&self) -> Option<Duration> {
        let wait = self.first_wait()?;
        Some(match self.jitter {
            Jitter::None => wait,
            Jitter::Full => Duration::ZERO,
            Jitter::Within(share) => times(wait, 1.0 - share),
        })
    }

    /// The longest wait before a retry. `None` where a function is asked.
    #[must_use]
    pub const fn longest_wait(&self) -> Option<Duration> {
        match self.curve {
            Curve::Constant(max)
            | Curve::Linear { max, .. }
            | Curve::Exponential { max, .. }
            | Curve::Decorrelated { max, .. } => Some(max),
            Curve::By(_) => None,
        }
    }

    /// The wait before the `n`-th retry, from 1 on, after `previous`. `None`: no retry.
    pub(crate) fn wait(&self, n: u32, previous: Duration, dice: &Dice) -> Option<Duration> {
        let max = match &self.curve {
            Curve::Constant(wait) => *wait,
            Curve::Linear { max, .. } | Curve::Exponential { max, .. } | Curve::Decorrelated { max, .. } => {
                *max
            }
            Curve::By(_) => Duration::MAX,
        };
        let wait = match &self.curve {
            Curve::Constant(wait) => *wait,
            Curve::Linear { step, .. } => step.saturating_mul(n),
            Curve::Exponential { min, .. } => {
                let grown = self.factor.powi(i32::try_from(n - 1).unwrap_or(i32::MAX));
                times(*min, grown)
            }
            Curve::Decorrelated { min, max } => {
                let longest = previous.max(*min).saturating_mul(3).min(*max);
                min.saturating_add(times(longest.saturating_sub(*min), dice.unit()))
            }
            Curve::By(wait) => (wait.0)(n)?,
        };
        Some(self.jitter.spread(wait.min(max), dice).min(max))
    }
}

impl Jitter {
    fn spread(self, wait: Duration, dice: &Dice) -> Duration {
        match self {
            Self::None => wait,
            Self::Full => times(wait, dice.unit()),
            Self::Within(share) => times(wait, 1.0 - share + 2.0 * share * dice.unit()),
        }
    }
}

/// A product that ends at the longest time, and not in a panic. Nothing stays nothing.
fn times(time: Duration, by: f64) -> Duration {
    if time.is_zero() {
        return time;
    }
    Duration::try_from_secs_f64(time.as_secs_f64() * by).unwrap_or(Duration::MAX)
}

impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Self::DEFAULT_MIN, Self::DEFAULT_MAX)
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut show = f.debug_struct("Backoff");
        match &self.curve {
            Curve::Constant(wait) => show.field("constant", wait),
            Curve::Linear { step, max } => show.field("step", step).field("max", max),
            Curve::Exponential { min, max } => {
                show.field("min", min).field("max", max).field("factor", &self.factor)
            }
            Curve::Decorrelated { min, max } => show.field("decorrelated_min", min).field("max", max),
            Curve::By(_) => show.field("by", &format_args!("..")),
        };
        show.field("jitter", &self.jitter).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn waits(backoff: &Backoff, seed: u64, most: u32) -> Vec<Duration> {
        let dice = Dice::new(Some(seed));
        let mut previous = Duration::ZERO;
        let wait = |n| {
            previous = backoff.wait(n, previous, &dice)?;
            Some(previous)
        };
        (1..=most).map_while(wait).collect()
    }

    #[test]
    fn curves_without_jitter() {
        let plain = |backoff: Backoff| waits(&backoff.jitter(Jitter::None), 0, 6);
        let ms = |all: [u64; 6]| all.map(Duration::from_millis).to_vec();
        assert_eq!(plain(Backoff::exponential(100 * MS, 1000 * MS)), ms([100, 200, 400, 800, 1000, 1000]));
        assert_eq!(plain(Backoff::linear(100 * MS, 350 * MS)), ms([100, 200, 300, 350, 350, 350]));
        assert_eq!(plain(Backoff::constant(7 * MS)), ms([7; 6]));
        assert_eq!(plain(Backoff::by(|n| (n < 3).then(|| n * MS))), [MS, 2 * MS]);
    }

    #[test]
    fn no_duration_is_too_long() {
        let (zero, max) = (Duration::ZERO, Duration::MAX);
        for backoff in [
            Backoff::exponential(max, max),
            Backoff::exponential(zero, max).factor(f64::MAX),
            Backoff::linear(max, max),
            Backoff::constant(max),
            Backoff::decorrelated(zero, max),
            Backoff::constant(max).jitter(Jitter::Within(1.0)),
        ] {
            assert_eq!(waits(&backoff, 1, 100).len(), 100, "{backoff:?}");
        }
    }

    #[test]
    fn equal_are_those_with_the_same_function() {
        let by = || Backoff::by(|_| None);
        let one = by();
        assert!(one == one.clone() && one != by());
        assert!(Backoff::default() == Backoff::exponential(100 * MS, 1000 * MS));
        assert!(Backoff::default() != Backoff::linear(100 * MS, 1000 * MS));
        assert!(Backoff::default() != Backoff::default().jitter(Jitter::None));
    }

    #[test]
    fn their_ends_can_be_asked_for() {
        let ends = |backoff: Backoff| (backoff.first_wait(), backoff.longest_wait());
        assert_eq!(ends(Backoff::default()), (Some(100 * MS), Some(1000 * MS)));
        assert_eq!(ends(Backoff::linear(5 * MS, 3 * MS)), (Some(3 * MS), Some(3 * MS)));
        assert_eq!(ends(Backoff::by(|_| None)), (None, None));
        let least = |jitter| Backoff::default().jitter(jitter).least_wait();
        assert_eq!(
            [Jitter::None, Jitter::Full, Jitter::Within(0.2)].map(least),
            [100, 0, 80].map(|ms| Some(ms * MS))
        );
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for wrong in [0.0, 0.99, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Backoff::default().try_factor(wrong).is_err(), "{wrong}");
        }
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Backoff::default().try_jitter(Jitter::Within(wrong)).is_err(), "{wrong}");
        }
        assert!(Backoff::try_exponential(2 * MS, MS).is_err());
        assert!(Backoff::try_decorrelated(2 * MS, MS).is_err());
    }
}
