use bartizan_core::{Budget, Invalid};
use bartizan_http::ReplayLimit;
use std::time::Duration;

/// When a second copy of a request is sent, and how many.
///
/// A copy goes out when the first has taken longer than most calls do, another after as much again, and one at once where a copy has
/// failed. The first good answer wins; the other copies are dropped there and then. Only requests that are
/// [repeatable](bartizan_again::is_repeatable) are hedged, and only in the first attempt of a retry.
///
/// The delay is learnt: the latency that all but a share of the calls stay below, and that share is what the [extra load](Self::extra)
/// allows. J. Dean and L. A. Barroso, "The Tail at Scale" (Communications of the ACM 56:2, 2013).
#[derive(Clone, Debug, PartialEq)]
pub struct Hedge {
    pub(crate) delay: Option<Duration>,
    pub(crate) extra: f64,
    pub(crate) percentile: Option<f64>,
    pub(crate) max_hedges: u32,
    pub(crate) min_delay: Duration,
    pub(crate) warm_up: u32,
    pub(crate) budget: Option<Budget>,
    pub(crate) max_body: usize,
    pub(crate) max_bodies: usize,
    pub(crate) seed: Option<u64>,
    pub(crate) enabled: bool,
}

const NO_EXTRA: &str = "extra must be above 0.0, and at most 1.0";
const NO_PERCENTILE: &str = "percentile must be at least 0.5, and below 1.0";
const NO_HEDGES: &str = "max_hedges must be at most 4";

impl Hedge {
    /// Copies beside the first: 2.
    pub const DEFAULT_MAX_HEDGES: u32 = 2;
    /// Extra load: 5 %.
    pub const DEFAULT_EXTRA: f64 = 0.05;
    /// Least delay that is learnt: 1 ms.
    pub const DEFAULT_MIN_DELAY: Duration = Duration::from_millis(1);
    /// Calls that are seen before the first is hedged: 20.
    pub const DEFAULT_WARM_UP: u32 = 20;

    /// The part of the extra load that second copies may take; the rest is for third ones.
    const SECOND_COPIES: f64 = 0.85;
    const MOST_HEDGES: u32 = 4;

    /// Creates a value with the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            delay: None,
            extra: Self::DEFAULT_EXTRA,
            percentile: None,
            max_hedges: Self::DEFAULT_MAX_HEDGES,
            min_delay: Self::DEFAULT_MIN_DELAY,
            warm_up: Self::DEFAULT_WARM_UP,
            budget: None,
            max_body: ReplayLimit::DEFAULT_BODY,
            max_bodies: ReplayLimit::DEFAULT_TOTAL,
            seed: None,
            enabled: true,
        }
    }

    /// Sets a delay that is not learnt. Zero sends all copies at once, [`Duration::MAX`] a further one only after a failure. Default:
    /// the delay is learnt.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Sets how many copies may be sent beside the calls, as a share of these, above 0 and at most 1. It sets the delay that is learnt,
    /// the [`percentile`](Self::percentile) 1 − 0.85 × extra, and the budget that bounds the copies whatever the delay. A call that fans
    /// out to many others needs more. Default: [`DEFAULT_EXTRA`](Self::DEFAULT_EXTRA), 5 %.
    ///
    /// # Panics
    ///
    /// When `extra` lies outside; [`try_extra`](Self::try_extra) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn extra(self, extra: f64) -> Self {
        match self.try_extra(extra) {
            Ok(hedge) => hedge,
            Err(_) => panic!("{}", NO_EXTRA),
        }
    }

    /// Sets the extra load, as [`extra`](Self::extra) does.
    ///
    /// # Errors
    ///
    /// When `extra` is not above 0, or above 1.
    pub const fn try_extra(mut self, extra: f64) -> Result<Self, Invalid> {
        if !(extra > 0.0 && extra <= 1.0) {
            return Err(Invalid::new("extra", NO_EXTRA));
        }
        self.extra = extra;
        Ok(self)
    }

    /// Sets the delay that is learnt by the share of calls, in `0.5..1.0`, for which no copy is sent: at 0.98 there are copies for two calls
    /// in a hundred, third ones included. Default: by the [extra load](Self::extra), where 0.9575 of all calls end within the delay for 5 %.
    ///
    /// # Panics
    ///
    /// When `percentile` lies outside; [`try_percentile`](Self::try_percentile) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn percentile(self, percentile: f64) -> Self {
        match self.try_percentile(percentile) {
            Ok(hedge) => hedge,
            Err(_) => panic!("{}", NO_PERCENTILE),
        }
    }

    /// Sets the share of calls within the delay, as [`percentile`](Self::percentile) does.
    ///
    /// # Errors
    ///
    /// When `percentile` lies outside of `0.5..1.0`.
    pub const fn try_percentile(mut self, percentile: f64) -> Result<Self, Invalid> {
        if !(percentile >= 0.5 && percentile < 1.0) {
            return Err(Invalid::new("percentile", NO_PERCENTILE));
        }
        self.percentile = Some(percentile);
        Ok(self)
    }

    /// Sets how many copies of a request are sent beside the first, in `0..=4`. Default:
    /// [`DEFAULT_MAX_HEDGES`](Self::DEFAULT_MAX_HEDGES), 2.
    ///
    /// # Panics
    ///
    /// When these are more than 4; [`try_max_hedges`](Self::try_max_hedges) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn max_hedges(self, hedges: u32) -> Self {
        match self.try_max_hedges(hedges) {
            Ok(hedge) => hedge,
            Err(_) => panic!("{}", NO_HEDGES),
        }
    }

    /// Sets how many copies are sent, as [`max_hedges`](Self::max_hedges) does.
    ///
    /// # Errors
    ///
    /// When these are more than 4.
    pub const fn try_max_hedges(mut self, hedges: u32) -> Result<Self, Invalid> {
        if hedges > Self::MOST_HEDGES {
            return Err(Invalid::new("max_hedges", NO_HEDGES));
        }
        self.max_hedges = hedges;
        Ok(self)
    }

    /// Sets the least delay that is learnt. Default: [`DEFAULT_MIN_DELAY`](Self::DEFAULT_MIN_DELAY), 1 ms.
    #[must_use]
    pub const fn min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// Sets how many calls are seen before a delay is learnt from them; until then none is hedged. Default:
    /// [`DEFAULT_WARM_UP`](Self::DEFAULT_WARM_UP), 20.
    #[must_use]
    pub const fn warm_up(mut self, calls: u32) -> Self {
        self.warm_up = calls;
        self
    }

    /// Sets the budget of the layer's own purse, which its successes fill and each copy is paid from. Default: [`Budget::new`] with the
    /// [extra load](Self::extra) as its ratio.
    #[must_use]
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets how many bytes of a request body are kept for copies. A longer body goes out untouched, and once. Default: 64 KiB.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets how many bytes are kept of all request bodies of the layer together. Default: 16 MiB.
    #[must_use]
    pub const fn max_bodies(mut self, bytes: usize) -> Self {
        self.max_bodies = bytes;
        self
    }

    /// Sets the seed of the dice that say which of the copies that hardly ever win are sent, so that a run can be repeated. Default: a
    /// random one.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets whether the layer does anything. Default: true.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The [delay](Self::delay), if it is not learnt.
    #[must_use]
    pub const fn fixed_delay(&self) -> Option<Duration> {
        self.delay
    }

    /// The least delay that is learnt: [`min_delay`](Self::min_delay).
    #[must_use]
    pub const fn least_delay(&self) -> Duration {
        self.min_delay
    }

    /// How many copies may be sent beside the first: [`max_hedges`](Self::max_hedges).
    #[must_use]
    pub const fn most_copies(&self) -> u32 {
        self.max_hedges
    }

    /// The copies beside the calls, as a share of these: [`extra`](Self::extra).
    #[must_use]
    pub const fn extra_load(&self) -> f64 {
        self.extra
    }

    /// The [budget](Self::budget) of the layer's own purse.
    #[must_use]
    pub fn own_budget(&self) -> Budget {
        self.budget.unwrap_or_else(|| Budget::new().ratio(self.extra))
    }

    /// Whether the layer does anything.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The share of calls that is to end within the delay, where calls that do not have so many copies in the mean.
    pub(crate) fn quantile(&self, copies: f64) -> f64 {
        match self.percentile {
            Some(percentile) => 1.0 - (1.0 - percentile) / copies,
            None => 1.0 - Self::SECOND_COPIES * self.extra,
        }
    }
}

impl Default for Hedge {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const _: Hedge = Hedge::new().extra(0.1).percentile(0.98).max_hedges(1).budget(Budget::new());

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for wrong in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Hedge::new().try_extra(wrong).is_err(), "{wrong}");
        }
        for wrong in [0.49, 1.0, f64::NAN, f64::INFINITY] {
            assert!(Hedge::new().try_percentile(wrong).is_err(), "{wrong}");
        }
        assert!(Hedge::new().try_max_hedges(5).is_err());
        assert_eq!(Hedge::new().quantile(1.2), 0.9575);
        assert!((Hedge::new().percentile(0.98).quantile(1.25) - 0.984).abs() < 1e-9);
    }
}
