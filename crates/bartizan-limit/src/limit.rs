use crate::pace::Pace;
use bartizan_core::Invalid;
use std::fmt;
use std::time::Duration;

/// How many requests are let through: a rate, and a burst.
///
/// It is a bucket of tokens. A full one holds the *burst*; one token comes back per *interval*, the period divided by the rate; a request
/// takes one, or what it costs, and is refused if there are too few. A refused request takes none.
///
/// The decision is the Generic Cell Rate Algorithm in its form of virtual scheduling (ITU-T I.371, annex A): one word holds the time at
/// which the bucket is full again. It is exact to the nanosecond, and no worker refills anything.
///
/// ```
/// use bartizan_limit::Limit;
/// use std::time::Duration;
///
/// const SEARCH: Limit = Limit::per_second(50).burst(200);
/// const LOG_IN: Limit = Limit::per(10, Duration::from_secs(60));
/// assert_eq!(LOG_IN.interval(), Duration::from_secs(6));
/// ```
#[derive(Clone, Copy, PartialEq)]
pub struct Limit {
    /// Nanoseconds until one more token is there.
    interval: u64,
    burst: u32,
    pub(crate) shadow: f64,
    pub(crate) enabled: bool,
    pub(crate) seed: Option<u64>,
}

impl Limit {
    /// The longest time in which an empty bucket may become full again: 18 years.
    pub const MAX_REFILL: Duration = Duration::from_nanos(1 << 59);

    /// Creates a limit of so many requests a second, with a burst of as many.
    ///
    /// # Panics
    ///
    /// If `rate` is zero.
    #[must_use]
    #[track_caller]
    pub const fn per_second(rate: u32) -> Self {
        Self::per(rate, Duration::from_secs(1))
    }

    /// Creates a limit of so many requests in a period, with a burst of as many.
    ///
    /// That is the rate in the long run. Who was quiet may use the burst and what comes back meanwhile: of ten a minute, nearly twenty in
    /// the first one. A smaller [`burst`](Self::burst) brings that down, to one by one.
    ///
    /// The interval between two tokens is rounded up to whole nanoseconds, so that the rate is never above what was asked for.
    ///
    /// # Panics
    ///
    /// If `rate` or `period` is zero, or `period` longer than [`MAX_REFILL`](Self::MAX_REFILL).
    #[must_use]
    #[track_caller]
    pub const fn per(rate: u32, period: Duration) -> Self {
        expect(Self::try_per(rate, period))
    }

    /// As [`per`](Self::per), for numbers from a file.
    ///
    /// # Errors
    ///
    /// Where [`per`](Self::per) panics.
    pub const fn try_per(rate: u32, period: Duration) -> Result<Self, Invalid> {
        if rate == 0 {
            return Err(Invalid::new("rate", "rate must be at least 1"));
        }
        let nanos = period.as_nanos();
        if nanos == 0 || nanos > Self::MAX_REFILL.as_nanos() {
            return Err(Invalid::new("period", PERIOD));
        }
        let interval = nanos.div_ceil(rate as u128) as u64;
        let limit = Self { interval, burst: 1, shadow: 0.0, enabled: true, seed: None };
        // Rounded up, the refill may be a little longer than the period.
        match limit.try_burst(rate) {
            Ok(limit) => Ok(limit),
            Err(_) => Err(Invalid::new("period", PERIOD)),
        }
    }

    /// The same with another rate, of so many requests a second.
    pub(crate) fn try_rate(self, per_second: f64) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid::new(
            "per_second",
            "per_second must be above zero, and so large that the burst comes back within 2^59 ns, 18 years",
        );
        // Rounded up like all intervals, but not for what the division leaves.
        let nanos = (1e9 / per_second - 1e-6).ceil();
        if !(1.0..=Self::MAX_REFILL.as_nanos() as f64).contains(&nanos) {
            return if per_second > 1e9 { Ok(Self { interval: 1, ..self }) } else { Err(WRONG) };
        }
        Self { interval: nanos as u64, ..self }.try_burst(self.burst).map_err(|_| WRONG)
    }

    /// Sets how many tokens a full bucket holds: so many requests may come at once. Default: the rate.
    ///
    /// # Panics
    ///
    /// If it is zero, or takes longer than [`MAX_REFILL`](Self::MAX_REFILL) to come back.
    #[must_use]
    #[track_caller]
    pub const fn burst(self, burst: u32) -> Self {
        expect(self.try_burst(burst))
    }

    /// As [`burst`](Self::burst), for a number from a file.
    ///
    /// # Errors
    ///
    /// Where [`burst`](Self::burst) panics.
    pub const fn try_burst(mut self, burst: u32) -> Result<Self, Invalid> {
        if burst == 0 {
            return Err(Invalid::new("burst", "burst must be at least 1"));
        }
        if self.interval as u128 * burst as u128 > Self::MAX_REFILL.as_nanos() {
            return Err(Invalid::new("burst", "burst must come back within 2^59 ns, 18 years"));
        }
        self.burst = burst;
        Ok(self)
    }

    /// Sets the share of the requests over the limit that is only counted, and let through; these take no token. 0 refuses all of
    /// them, 1 none: so a limit is tried out before a handle enforces it, by `handle.update(limit.shadow(0.0))`. Default: 0.
    ///
    /// # Panics
    ///
    /// If it is not within `0.0..=1.0`.
    #[must_use]
    #[track_caller]
    pub const fn shadow(self, share: f64) -> Self {
        expect(self.try_shadow(share))
    }

    /// As [`shadow`](Self::shadow), for a number from a file.
    ///
    /// # Errors
    ///
    /// Where [`shadow`](Self::shadow) panics.
    pub const fn try_shadow(mut self, share: f64) -> Result<Self, Invalid> {
        // What is no number is not within either.
        if share >= 0.0 && share <= 1.0 {
            self.shadow = share;
            Ok(self)
        } else {
            Err(Invalid::new("shadow", "shadow must be within 0.0..=1.0"))
        }
    }

    /// Switches the limit on or off. Off, every request passes and none is counted. Default: on.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets the seed of the dice that [`shadow`](Self::shadow) throws, for runs that repeat. Default: one that nobody knows.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// After how long one more token is there.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// How many tokens a full bucket holds.
    #[must_use]
    pub const fn max_burst(&self) -> u32 {
        self.burst
    }

    /// The share of the requests over the limit that is only counted: [`shadow`](Self::shadow).
    #[must_use]
    pub const fn shadow_share(&self) -> f64 {
        self.shadow
    }

    /// Whether it is on.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(crate) const fn pace(&self) -> Pace {
        if self.enabled {
            Pace { interval: self.interval, span: self.interval * self.burst as u64 }
        } else {
            Pace::OFF
        }
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("interval", &self.interval())
            .field("burst", &self.burst)
            .field("shadow", &self.shadow)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

const PERIOD: &str = "period must be above zero and at most 2^59 ns, 18 years";

#[track_caller]
const fn expect(limit: Result<Limit, Invalid>) -> Limit {
    match limit {
        Ok(limit) => limit,
        Err(invalid) => panic!("{}", invalid.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn intervals_are_rounded_up() {
        for (rate, period, nanos) in [
            (1, SECOND, 1_000_000_000),
            (3, SECOND, 333_333_334),
            (u32::MAX, SECOND, 1),
            (7, Duration::from_nanos(1), 1),
            (1, Limit::MAX_REFILL, 1 << 59),
        ] {
            assert_eq!(
                Limit::per(rate, period).interval(),
                Duration::from_nanos(nanos),
                "{rate} in {period:?}"
            );
        }
    }

    #[test]
    fn another_rate_keeps_the_rest() {
        let limit = Limit::per_second(5).burst(7).shadow(0.5).seed(1);
        for (rate, nanos) in
            [(3.0, 333_333_334), (0.5, 2_000_000_000), (50.0, 20_000_000), (1e9, 1), (1e12, 1)]
        {
            let ought = Limit { interval: nanos, ..limit };
            assert_eq!(limit.try_rate(rate), Ok(ought), "{rate}");
            assert_eq!(
                ought.try_rate(1.0 / ought.interval().as_secs_f64()),
                Ok(ought),
                "{rate} as it is shown"
            );
        }
        for rate in [0.0, -1.0, f64::NAN, 1e-12, f64::NEG_INFINITY] {
            assert_eq!(limit.try_rate(rate).unwrap_err().field(), "per_second", "{rate}");
        }
    }

    #[test]
    fn it_shows_its_interval_with_a_unit() {
        let shown = format!("{:?}", Limit::per(10, 60 * SECOND).burst(3));
        assert_eq!(shown, "Limit { interval: 6s, burst: 3, shadow: 0.0, enabled: true, .. }");
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let limit = Limit::per_second(5);
        let field = |limit: Result<Limit, Invalid>| limit.unwrap_err().field();
        assert_eq!(field(Limit::try_per(0, SECOND)), "rate");
        assert_eq!(field(Limit::try_per(5, Duration::ZERO)), "period");
        assert_eq!(field(Limit::try_per(5, Duration::MAX)), "period");
        assert_eq!(field(limit.try_burst(0)), "burst");
        assert_eq!(field(Limit::per(1, Limit::MAX_REFILL).try_burst(2)), "burst");
        for share in [f64::NAN, -0.1, 1.1, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(field(limit.try_shadow(share)), "shadow");
        }
        assert!(limit.try_burst(1 << 31).is_ok());
    }
}
