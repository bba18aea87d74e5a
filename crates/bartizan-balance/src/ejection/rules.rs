use bartizan_core::Invalid;
use std::time::Duration;

/// Ejects an endpoint that fails more often than the others, beyond chance and beyond what is worth a word.
///
/// It fails too often when its share of failures is above [`times`](Self::times) that of all the others together plus a
/// [`margin`](Self::margin). It must have been so in two intervals one after the other, as a connection that takes a hundred
/// streams with it is one event; and all that was seen of it lately must be too unlikely for an endpoint that keeps within these
/// bounds: less likely than [`chance`](Self::chance). A tenth of what is known is forgotten with each interval in which it
/// was called, so that little traffic is judged by several intervals together. Of twenty endpoints that fail one call in a hundred,
/// one that fails every tenth of its thousand calls an interval is out after two intervals, and so is one that fails half of twenty.
///
/// The bound is Chernoff's for binomial tails, in the form of W. Hoeffding (*Probability inequalities for sums of bounded random
/// variables*, Journal of the American Statistical Association 58, 1963, theorem 1). It holds for any number of calls, so
/// there is no least number of them. What the others' share may be in truth is part of it: few calls to them prove little.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excess {
    pub(crate) times: f64,
    pub(crate) margin: f64,
    pub(crate) chance: f64,
}

impl Excess {
    /// How many times the others' share of failures is still normal: 2.
    pub const DEFAULT_TIMES: f64 = 2.0;
    /// Share of failures that is normal above that: one in a hundred.
    pub const DEFAULT_MARGIN: f64 = 0.01;
    /// Chance of one judgement to eject an endpoint at the very edge of the bounds: one in a million. One that fails no more
    /// than the others is far from the edge, and safe by many orders more.
    pub const DEFAULT_CHANCE: f64 = 1e-6;

    /// Creates the rule: twice the others' share and one point are normal, and one judgement in a million may err.
    #[must_use]
    pub const fn new() -> Self {
        Self { times: Self::DEFAULT_TIMES, margin: Self::DEFAULT_MARGIN, chance: Self::DEFAULT_CHANCE }
    }

    /// Sets how many times the others' share of failures is still normal, at least 1. Default: 2.
    ///
    /// # Panics
    ///
    /// If it is below 1 or not finite.
    #[must_use]
    #[track_caller]
    pub const fn times(self, times: f64) -> Self {
        expect(self.try_times(times))
    }

    /// As [`times`](Self::times), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is below 1 or not finite.
    pub const fn try_times(mut self, times: f64) -> Result<Self, Invalid> {
        if !(times >= 1.0 && times.is_finite()) {
            return Err(Invalid::new("times", "times must be at least 1.0 and finite"));
        }
        self.times = times;
        Ok(self)
    }

    /// Sets the share of failures, in `0.0..1.0`, that is normal above the others'. Default: 0.01.
    ///
    /// # Panics
    ///
    /// If it is not within `0.0..1.0`.
    #[must_use]
    #[track_caller]
    pub const fn margin(self, margin: f64) -> Self {
        expect(self.try_margin(margin))
    }

    /// As [`margin`](Self::margin), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not within `0.0..1.0`.
    pub const fn try_margin(mut self, margin: f64) -> Result<Self, Invalid> {
        if !(margin >= 0.0 && margin < 1.0) {
            return Err(Invalid::new("margin", "margin must be at least 0.0 and below 1.0"));
        }
        self.margin = margin;
        Ok(self)
    }

    /// Sets the chance, above 0 and below 1, of one judgement to eject an endpoint that keeps within the bounds. Default: 10⁻⁶.
    ///
    /// # Panics
    ///
    /// If it is not between 0 and 1.
    #[must_use]
    #[track_caller]
    pub const fn chance(self, chance: f64) -> Self {
        expect(self.try_chance(chance))
    }

    /// As [`chance`](Self::chance), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1.
    pub const fn try_chance(mut self, chance: f64) -> Result<Self, Invalid> {
        if !(chance > 0.0 && chance < 1.0) {
            return Err(Invalid::new("chance", "chance must be above 0.0 and below 1.0"));
        }
        self.chance = chance;
        Ok(self)
    }
}

impl Default for Excess {
    fn default() -> Self {
        Self::new()
    }
}

/// Ejects an endpoint whose rate of success in an interval is further below the mean of all than a number of standard
/// deviations.
///
/// It is Envoy's and gRPC's rule, for those who come from there. Of twenty endpoints that are all well it ejects about one an
/// interval, as one of twenty is always that far from the mean; [`Excess`] does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuccessRate {
    pub(crate) factor: f64,
    pub(crate) enough: Enough,
}

impl SuccessRate {
    /// Standard deviations below the mean: 1.9.
    pub const DEFAULT_FACTOR: f64 = 1.9;
    /// Least endpoints with enough calls: 5.
    pub const DEFAULT_MIN_HOSTS: usize = 5;
    /// Least calls of an endpoint in the interval: 100.
    pub const DEFAULT_MIN_REQUESTS: u32 = 100;

    /// Creates the rule: 1.9 standard deviations, among at least five endpoints with a hundred calls each.
    #[must_use]
    pub const fn new() -> Self {
        let enough = Enough { hosts: Self::DEFAULT_MIN_HOSTS, requests: Self::DEFAULT_MIN_REQUESTS };
        Self { factor: Self::DEFAULT_FACTOR, enough }
    }

    /// Sets how many standard deviations below the mean eject. Default: 1.9.
    ///
    /// # Panics
    ///
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub const fn factor(self, factor: f64) -> Self {
        expect(self.try_factor(factor))
    }

    /// As [`factor`](Self::factor), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is negative or not finite.
    pub const fn try_factor(mut self, factor: f64) -> Result<Self, Invalid> {
        if !(factor >= 0.0 && factor.is_finite()) {
            return Err(Invalid::new("factor", "factor must be at least 0.0 and finite"));
        }
        self.factor = factor;
        Ok(self)
    }
}

/// Ejects an endpoint whose share of failures in an interval reaches a ratio, whatever the others do. It is Envoy's rule of
/// the failure percentage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureRatio {
    pub(crate) ratio: f64,
    pub(crate) enough: Enough,
}

impl FailureRatio {
    /// Share of failures that ejects: 85 %.
    pub const DEFAULT_RATIO: f64 = 0.85;
    /// Least endpoints with enough calls: 5.
    pub const DEFAULT_MIN_HOSTS: usize = 5;
    /// Least calls of an endpoint in the interval: 50.
    pub const DEFAULT_MIN_REQUESTS: u32 = 50;

    /// Creates the rule: 85 %, among at least five endpoints with fifty calls each.
    #[must_use]
    pub const fn new() -> Self {
        let enough = Enough { hosts: Self::DEFAULT_MIN_HOSTS, requests: Self::DEFAULT_MIN_REQUESTS };
        Self { ratio: Self::DEFAULT_RATIO, enough }
    }

    /// Sets the share of failures, in `0.0 < ratio ≤ 1.0`, that ejects when it is reached. Default: 0.85.
    ///
    /// # Panics
    ///
    /// If it is out of its range.
    #[must_use]
    #[track_caller]
    pub const fn ratio(self, ratio: f64) -> Self {
        expect(self.try_ratio(ratio))
    }

    /// As [`ratio`](Self::ratio), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is out of its range.
    pub const fn try_ratio(mut self, ratio: f64) -> Result<Self, Invalid> {
        if !(ratio > 0.0 && ratio <= 1.0) {
            return Err(Invalid::new("ratio", "ratio must be above 0.0 and at most 1.0"));
        }
        self.ratio = ratio;
        Ok(self)
    }
}

/// Ejects an endpoint whose mean latency is far above the median of the others', in two intervals one after the other.
///
/// Machines of two generations, or one with a noisy neighbour, differ by a factor of two; three is more than that, and with fifty calls
/// more than chance. An endpoint below [`least`](Self::least) is never slow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slowness {
    pub(crate) times: f64,
    pub(crate) least: Duration,
    pub(crate) enough: Enough,
}

impl Slowness {
    /// How many times the median is slow: 3.
    pub const DEFAULT_TIMES: f64 = 3.0;
    /// Mean latency up to which nothing is slow: 10 ms.
    pub const DEFAULT_LEAST: Duration = Duration::from_millis(10);
    /// Least endpoints with enough calls: 3.
    pub const DEFAULT_MIN_HOSTS: usize = 3;
    /// Least successful calls of an endpoint in the interval: 50.
    pub const DEFAULT_MIN_REQUESTS: u32 = 50;

    /// Creates the rule: above three times the median and above 10 ms, among at least three endpoints with fifty calls each.
    #[must_use]
    pub const fn new() -> Self {
        let enough = Enough { hosts: Self::DEFAULT_MIN_HOSTS, requests: Self::DEFAULT_MIN_REQUESTS };
        Self { times: Self::DEFAULT_TIMES, least: Self::DEFAULT_LEAST, enough }
    }

    /// Sets how many times the median is slow, above 1. Default: 3.
    ///
    /// # Panics
    ///
    /// If it is not above 1 or not finite.
    #[must_use]
    #[track_caller]
    pub const fn times(self, times: f64) -> Self {
        expect(self.try_times(times))
    }

    /// As [`times`](Self::times), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not above 1 or not finite.
    pub const fn try_times(mut self, times: f64) -> Result<Self, Invalid> {
        if !(times > 1.0 && times.is_finite()) {
            return Err(Invalid::new("times", "times must be above 1.0 and finite"));
        }
        self.times = times;
        Ok(self)
    }

    /// Sets the mean latency up to which nothing is slow. Default: 10 ms.
    #[must_use]
    pub const fn least(mut self, least: Duration) -> Self {
        self.least = least;
        self
    }
}

/// From how much evidence on a rule of an interval judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enough {
    pub(crate) hosts: usize,
    pub(crate) requests: u32,
}

/// The setters and the default that the rules with a least amount of evidence share.
macro_rules! enough {
    ($($rule:ident),*) => {$(
        impl $rule {
            /// Sets how many endpoints with enough calls there must be. Default: [`DEFAULT_MIN_HOSTS`](Self::DEFAULT_MIN_HOSTS).
            ///
            /// # Panics
            ///
            /// If it is zero.
            #[must_use]
            #[track_caller]
            pub const fn min_hosts(self, hosts: usize) -> Self {
                expect(self.try_min_hosts(hosts))
            }

            /// As [`min_hosts`](Self::min_hosts), for a value from outside.
            ///
            /// # Errors
            ///
            /// If it is zero.
            pub const fn try_min_hosts(mut self, hosts: usize) -> Result<Self, Invalid> {
                if hosts == 0 {
                    return Err(Invalid::new("min_hosts", "min_hosts must be at least 1"));
                }
                self.enough.hosts = hosts;
                Ok(self)
            }

            /// Sets how many calls an endpoint must have had in the interval.
            /// Default: [`DEFAULT_MIN_REQUESTS`](Self::DEFAULT_MIN_REQUESTS).
            ///
            /// # Panics
            ///
            /// If it is zero.
            #[must_use]
            #[track_caller]
            pub const fn min_requests(self, requests: u32) -> Self {
                expect(self.try_min_requests(requests))
            }

            /// As [`min_requests`](Self::min_requests), for a value from outside.
            ///
            /// # Errors
            ///
            /// If it is zero.
            pub const fn try_min_requests(mut self, requests: u32) -> Result<Self, Invalid> {
                if requests == 0 {
                    return Err(Invalid::new("min_requests", "min_requests must be at least 1"));
                }
                self.enough.requests = requests;
                Ok(self)
            }
        }

        impl Default for $rule {
            fn default() -> Self {
                Self::new()
            }
        }
    )*};
}

enough!(SuccessRate, FailureRatio, Slowness);

/// Unwraps a setting in a constant, with the field's message.
#[track_caller]
pub(crate) const fn expect<T: Copy>(setting: Result<T, Invalid>) -> T {
    match setting {
        Ok(setting) => setting,
        Err(invalid) => panic!("{}", invalid.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<T>(result: Result<T, Invalid>) -> Option<&'static str> {
        result.map_err(|invalid| invalid.field()).err()
    }

    #[test]
    fn nonsense_is_refused_with_its_field() {
        for wrong in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(field(SuccessRate::new().try_factor(wrong)), Some("factor"));
            assert_eq!(field(FailureRatio::new().try_ratio(wrong)), Some("ratio"));
            assert_eq!(field(Slowness::new().try_times(wrong)), Some("times"));
            assert_eq!(field(Excess::new().try_times(wrong)), Some("times"));
            assert_eq!(field(Excess::new().try_margin(wrong)), Some("margin"));
            assert_eq!(field(Excess::new().try_chance(wrong)), Some("chance"));
        }
        assert_eq!(field(FailureRatio::new().try_ratio(1.01)), Some("ratio"));
        assert_eq!(field(FailureRatio::new().try_ratio(0.0)), Some("ratio"));
        assert_eq!(field(Excess::new().try_chance(0.0)), Some("chance"));
        assert_eq!(field(SuccessRate::new().try_min_hosts(0)), Some("min_hosts"));
        assert_eq!(field(FailureRatio::new().try_min_hosts(0)), Some("min_hosts"));
        assert_eq!(field(Slowness::new().try_min_requests(0)), Some("min_requests"));
    }
}
