use bartizan_core::Invalid;
use std::time::Duration;

/// How long a call may take, and what is refused because it could not be done in time.
///
/// The total runs from the call to the end of the response body. Where the caller or the context sets a deadline of its own, the
/// earlier one counts. Zero refuses every call before the inner service sees it; [`Duration::MAX`] never ends.
///
/// ```
/// use bartizan_deadline::Deadline;
/// use std::time::Duration;
///
/// const CHECKOUT: Deadline = Deadline::new(Duration::from_secs(2))
///     .head_timeout(Duration::from_millis(1500))
///     .min_remaining(Duration::from_millis(10));
/// ```
///
/// # Work that cannot finish
///
/// With [`learn`](Self::learn) the layer keeps the time below which a twentieth of the successful calls ended, and refuses a call with less
/// time left than that. The estimate is one number, moved up or down by a share of itself with every success: Yazidi and
/// Hammer, "Multiplicative update methods for incremental quantile estimation" (IEEE Transactions on Cybernetics 49, 2019), with q =
/// [`LEARN_QUANTILE`](Self::LEARN_QUANTILE) and λ = 0.1. It starts at the smallest of the first [`LEARN_WARM_UP`](Self::LEARN_WARM_UP)
/// successes and refuses nothing before; it sinks fast and rises slowly, so that it errs towards serving. One in
/// [`LEARN_PROBES`](Self::LEARN_PROBES) of the calls without hope is let through all the same, so that a service which became faster is noticed.
///
/// # Clocks that are wrong
///
/// A caller that computes its deadlines wrongly can have everything refused. With [`max_refused_share`](Self::max_refused_share) at most that share of
/// the requests of the last ten seconds is refused before it starts; the others are served under the own total, and counted as withheld.
/// The rule is Finagle's `DeadlineFilter`. A total of zero refuses all, regardless.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deadline {
    pub(crate) total: Duration,
    pub(crate) head_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) min_remaining: Duration,
    pub(crate) margin: Duration,
    pub(crate) max_refused_share: f64,
    pub(crate) learn: bool,
    pub(crate) trusted: bool,
    pub(crate) stream: bool,
    pub(crate) from_call: bool,
    pub(crate) enabled: bool,
}

impl Deadline {
    /// Longest time to the head of the response: no bound but the total.
    pub const DEFAULT_HEAD_TIMEOUT: Duration = Duration::MAX;
    /// Longest pause within the body: no bound but the total.
    pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::MAX;
    /// Least time that must be left to try: any.
    pub const DEFAULT_MIN_REMAINING: Duration = Duration::ZERO;
    /// Time that is kept back from the server that is called: none.
    pub const DEFAULT_MARGIN: Duration = Duration::ZERO;
    /// Share of the requests that may be refused before they start: all, so there is no guard against wrong clocks.
    pub const DEFAULT_MAX_REFUSED_SHARE: f64 = 1.0;
    /// Share of the successes that were faster than the learnt time: 5 %.
    pub const LEARN_QUANTILE: f64 = 0.05;
    /// Successes after which the learnt time is used: 100.
    pub const LEARN_WARM_UP: u32 = 100;
    /// One in so many of the calls without hope is let through: 10.
    pub const LEARN_PROBES: u32 = 10;

    /// Creates a deadline of so much after the call, with no other limit.
    #[must_use]
    pub const fn new(total: Duration) -> Self {
        Self {
            total,
            head_timeout: Self::DEFAULT_HEAD_TIMEOUT,
            idle_timeout: Self::DEFAULT_IDLE_TIMEOUT,
            min_remaining: Self::DEFAULT_MIN_REMAINING,
            margin: Self::DEFAULT_MARGIN,
            max_refused_share: Self::DEFAULT_MAX_REFUSED_SHARE,
            learn: false,
            trusted: false,
            stream: false,
            from_call: false,
            enabled: true,
        }
    }

    /// Sets the longest time from the call to the head of the response, which for an
    /// [upload](crate::DeadlineLayer::uploads) runs from the end of the request body. HTTP flavour only. Default:
    /// [`DEFAULT_HEAD_TIMEOUT`](Self::DEFAULT_HEAD_TIMEOUT), none.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub const fn head_timeout(self, timeout: Duration) -> Self {
        valid(self.try_head_timeout(timeout))
    }

    /// As [`head_timeout`](Self::head_timeout), for a number that comes from outside.
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub const fn try_head_timeout(mut self, timeout: Duration) -> Result<Self, Invalid> {
        if timeout.is_zero() {
            return Err(Invalid::new("head_timeout", "head_timeout must be longer than zero"));
        }
        self.head_timeout = timeout;
        Ok(self)
    }

    /// Sets the longest wait for the next frame of the response body, and of the request body of an
    /// [upload](crate::DeadlineLayer::uploads). It starts anew with every frame. HTTP flavour only. Default:
    /// [`DEFAULT_IDLE_TIMEOUT`](Self::DEFAULT_IDLE_TIMEOUT), none.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub const fn idle_timeout(self, timeout: Duration) -> Self {
        valid(self.try_idle_timeout(timeout))
    }

    /// As [`idle_timeout`](Self::idle_timeout), for a number that comes from outside.
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub const fn try_idle_timeout(mut self, timeout: Duration) -> Result<Self, Invalid> {
        if timeout.is_zero() {
            return Err(Invalid::new("idle_timeout", "idle_timeout must be longer than zero"));
        }
        self.idle_timeout = timeout;
        Ok(self)
    }

    /// Sets the least time that must be left for a call to be tried; with less it is refused before it starts. Default:
    /// [`DEFAULT_MIN_REMAINING`](Self::DEFAULT_MIN_REMAINING), zero: any time will do.
    ///
    /// # Panics
    ///
    /// If it is longer than the total: every call would be refused.
    #[must_use]
    #[track_caller]
    pub const fn min_remaining(self, least: Duration) -> Self {
        valid(self.try_min_remaining(least))
    }

    /// As [`min_remaining`](Self::min_remaining), for a number that comes from outside.
    ///
    /// # Errors
    ///
    /// If it is longer than the total.
    pub const fn try_min_remaining(mut self, least: Duration) -> Result<Self, Invalid> {
        if least.as_nanos() > self.total.as_nanos() {
            return Err(Invalid::new("min_remaining", "min_remaining must not be longer than the total"));
        }
        self.min_remaining = least;
        Ok(self)
    }

    /// Sets how much less than what is left an outgoing request tells its server, so that the answer has time to travel. With no
    /// more than the margin left, the call is refused before it starts. Default:
    /// [`DEFAULT_MARGIN`](Self::DEFAULT_MARGIN), zero.
    ///
    /// # Panics
    ///
    /// If it is not shorter than the total, and not zero: every call would be refused.
    #[must_use]
    #[track_caller]
    pub const fn margin(self, margin: Duration) -> Self {
        valid(self.try_margin(margin))
    }

    /// As [`margin`](Self::margin), for a number that comes from outside.
    ///
    /// # Errors
    ///
    /// If it is not shorter than the total, and not zero.
    pub const fn try_margin(mut self, margin: Duration) -> Result<Self, Invalid> {
        if !margin.is_zero() && margin.as_nanos() >= self.total.as_nanos() {
            return Err(Invalid::new("margin", "margin must be shorter than the total"));
        }
        self.margin = margin;
        Ok(self)
    }

    /// Sets the share of the requests of the last ten seconds that may be refused before they start, from 0 to 1; see "Clocks
    /// that are wrong" above. Below 1 it takes a lock per call. Default:
    /// [`DEFAULT_MAX_REFUSED_SHARE`](Self::DEFAULT_MAX_REFUSED_SHARE), 1: all.
    ///
    /// # Panics
    ///
    /// If it is not from 0 to 1.
    #[must_use]
    #[track_caller]
    pub const fn max_refused_share(self, share: f64) -> Self {
        valid(self.try_max_refused_share(share))
    }

    /// As [`max_refused_share`](Self::max_refused_share), for a number that comes from outside.
    ///
    /// # Errors
    ///
    /// If it is not from 0 to 1, or no number.
    pub const fn try_max_refused_share(mut self, share: f64) -> Result<Self, Invalid> {
        if !(share >= 0.0 && share <= 1.0) {
            return Err(Invalid::new("max_refused_share", "max_refused_share must be from 0 to 1"));
        }
        self.max_refused_share = share;
        Ok(self)
    }

    /// Refuses a call that has less time left than nearly all took lately; see "Work that cannot finish" above. It
    /// reads the clock twice and takes a lock twice per call. Default: off.
    #[must_use]
    pub const fn learn(mut self, learn: bool) -> Self {
        self.learn = learn;
        self
    }

    /// Lets the priority header of an incoming request raise its priority; otherwise it can only lower it. For servers
    /// whose callers are all your own. A deadline is never lengthened, trusted or not. Default: off.
    #[must_use]
    pub const fn trusted(mut self, trusted: bool) -> Self {
        self.trusted = trusted;
        self
    }

    /// Exempts every response body from the total, but not from the idle time-out; the total then bounds the time to the head alone.
    /// `text/event-stream` and upgrades are exempt without it. HTTP flavour only. Default: off.
    #[must_use]
    pub const fn stream(mut self, stream: bool) -> Self {
        self.stream = stream;
        self
    }

    /// Counts the total from the call, and hands it down as the ambient deadline, in the typed flavour as well. That reads the clock once
    /// per call. Without it a typed call under no other deadline starts its total when the inner service is first found
    /// pending, and hands none down. The HTTP flavour always counts from the call. Default: off.
    #[must_use]
    pub const fn from_call(mut self, from_call: bool) -> Self {
        self.from_call = from_call;
        self
    }

    /// Switches the layer off and on: off, it passes everything on untouched. Default: on.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The same with another total.
    ///
    /// # Errors
    ///
    /// If it is shorter than [`min_remaining`](Self::min_remaining), or not longer than a [`margin`](Self::margin).
    pub const fn try_with_total(mut self, total: Duration) -> Result<Self, Invalid> {
        self.total = total;
        if self.try_min_remaining(self.min_remaining).is_err() {
            return Err(Invalid::new("total", "total must not be shorter than min_remaining"));
        }
        if self.try_margin(self.margin).is_err() {
            return Err(Invalid::new("total", "total must be longer than the margin"));
        }
        Ok(self)
    }

    /// How long a call may take.
    #[must_use]
    pub const fn total(&self) -> Duration {
        self.total
    }

    /// The longest time to the head of the response: [`head_timeout`](Self::head_timeout).
    #[must_use]
    pub const fn longest_head(&self) -> Duration {
        self.head_timeout
    }

    /// The longest pause within the body: [`idle_timeout`](Self::idle_timeout).
    #[must_use]
    pub const fn longest_idle(&self) -> Duration {
        self.idle_timeout
    }

    /// The least time to try: [`min_remaining`](Self::min_remaining).
    #[must_use]
    pub const fn least_remaining(&self) -> Duration {
        self.min_remaining
    }

    /// The time that is kept back from the server that is called: [`margin`](Self::margin).
    #[must_use]
    pub const fn kept_margin(&self) -> Duration {
        self.margin
    }

    /// Whether it is on.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }
}

impl From<Duration> for Deadline {
    /// A deadline of so much after the call, with no other limit.
    fn from(total: Duration) -> Self {
        Self::new(total)
    }
}

/// Fails to compile in a `const`, and panics elsewhere.
#[track_caller]
const fn valid(deadline: Result<Deadline, Invalid>) -> Deadline {
    match deadline {
        Ok(deadline) => deadline,
        Err(invalid) => panic!("{}", invalid.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_numbers_name_their_field() {
        let second = Duration::from_secs(1);
        let deadline = Deadline::new(second);
        for (field, result) in [
            ("head_timeout", deadline.try_head_timeout(Duration::ZERO)),
            ("idle_timeout", deadline.try_idle_timeout(Duration::ZERO)),
            ("min_remaining", deadline.try_min_remaining(second + Duration::from_nanos(1))),
            ("margin", deadline.try_margin(second)),
            ("max_refused_share", deadline.try_max_refused_share(f64::NAN)),
            ("max_refused_share", deadline.try_max_refused_share(-0.1)),
            ("max_refused_share", deadline.try_max_refused_share(1.1)),
            ("max_refused_share", deadline.try_max_refused_share(f64::INFINITY)),
        ] {
            let invalid = result.expect_err(field);
            assert_eq!(invalid.field(), field);
            assert!(invalid.message().starts_with(field));
        }
        assert!(deadline.try_min_remaining(second).is_ok());
        for bound in [deadline.min_remaining(second), deadline.margin(second / 2)] {
            assert_eq!(bound.try_with_total(second / 2 - second / 8).expect_err("total").field(), "total");
            assert_eq!(bound.try_with_total(2 * second).map(|longer| longer.total()), Ok(2 * second));
        }
        assert!(Deadline::new(Duration::ZERO).try_margin(Duration::ZERO).is_ok());
    }

    #[test]
    #[should_panic(expected = "max_refused_share must be from 0 to 1")]
    fn setters_panic_with_the_field() {
        let _ = Deadline::new(Duration::MAX).max_refused_share(2.0);
    }
}
