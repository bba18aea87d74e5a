use crate::pause::{Pause, expect};
use bartizan_core::Invalid;
use std::time::Duration;

/// Trips when failures have become too many to be chance: a CUSUM over verdicts.
///
/// Each failure adds `ln(p1 / p0)` to the evidence, each success takes `ln((1 − p0) / (1 − p1))` off, never below zero; at
/// the threshold the circuit opens. `p0` is the share of failures that is still normal, `p1` the share that is an
/// outage. Throttled and slow calls weigh half a failure. It reads no clock on a good call, and needs no
/// window: ten failures in a row trip the default, so does a share of one half within about a hundred calls, and one of a fifth
/// never. Evidence never exceeds the threshold, and a trip needs [`MIN_SPAN`](Self::MIN_SPAN) since the evidence left
/// zero, so that a hundred calls lost at one blow are one event.
///
/// What is normal is learnt within bounds: `p0` is 1.25 × the moving average of failures over 512 calls, not below
/// the normal share and not above [`MOST_NORMAL`](Self::MOST_NORMAL), and frozen while the evidence is above half of the
/// threshold; `p1` stays at least [`LEAST_GAP`](Self::LEAST_GAP) above it. A service that has failed three calls in ten for a long
/// time goes on serving the other seven.
///
/// The rule is Page's cumulative sum (E. S. Page, *Continuous inspection schemes*, Biometrika 41, 1954).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    pub(crate) normal: f64,
    /// Up to where the normal share is learnt.
    pub(crate) most_normal: f64,
    pub(crate) outage: f64,
    pub(crate) threshold: f64,
    pub(crate) memory: u16,
    pub(crate) pause: Option<Pause>,
}

impl Evidence {
    /// Share of failures that is normal: 25 %.
    pub const DEFAULT_NORMAL: f64 = 0.25;
    /// Share of failures that is an outage: 75 %.
    pub const DEFAULT_OUTAGE: f64 = 0.75;
    /// Evidence that trips, in nats: 10.
    pub const DEFAULT_THRESHOLD: f64 = 10.0;
    /// Up to where the share of failures that is normal is learnt: 45 %.
    pub const MOST_NORMAL: f64 = 0.45;
    /// Least distance of the normal share from the one that is an outage: 35 points.
    pub const LEAST_GAP: f64 = 0.35;
    /// Calls over which the share of failures is averaged: 512.
    pub const DEFAULT_MEMORY: u16 = 512;
    /// Calls over which the share of failures is averaged around [one endpoint](Self::endpoint): 4096.
    pub const ENDPOINT_MEMORY: u16 = 4096;
    /// Evidence that trips around [one endpoint](Self::endpoint), in nats: 12.
    pub const ENDPOINT_THRESHOLD: f64 = 12.0;
    /// Least time from the first failure of a run to the trip: 50 ms.
    pub const MIN_SPAN: Duration = Duration::from_millis(50);

    /// Creates the rule of a service as a whole: 25 % is normal, 75 % an outage, 10 nats trip.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            normal: Self::DEFAULT_NORMAL,
            most_normal: Self::MOST_NORMAL,
            outage: Self::DEFAULT_OUTAGE,
            threshold: Self::DEFAULT_THRESHOLD,
            memory: Self::DEFAULT_MEMORY,
            pause: None,
        }
    }

    /// Fits the rule to one endpoint of many, where a call can go elsewhere: what is normal is learnt within 5–25 % over
    /// 4096 calls, an outage is 40 % or more, and 12 nats trip. Replaces the shares and the threshold.
    #[must_use]
    pub const fn endpoint(mut self) -> Self {
        (self.normal, self.most_normal, self.outage) = (0.05, 0.25, 0.4);
        (self.threshold, self.memory) = (Self::ENDPOINT_THRESHOLD, Self::ENDPOINT_MEMORY);
        self
    }

    /// Sets the share of failures that is normal and the one that is an outage; nothing is learnt then.
    /// Default: 0.25 and 0.75.
    ///
    /// # Panics
    ///
    /// Unless `0 < normal < outage < 1`.
    #[must_use]
    #[track_caller]
    pub const fn shares(self, normal: f64, outage: f64) -> Self {
        expect(self.try_shares(normal, outage))
    }

    /// As [`shares`](Self::shares), for values from outside.
    ///
    /// # Errors
    ///
    /// Unless `0 < normal < outage < 1`.
    pub const fn try_shares(mut self, normal: f64, outage: f64) -> Result<Self, Invalid> {
        if !(normal > 0.0 && normal < outage && outage < 1.0) {
            return Err(Invalid::new("shares", "shares must be such that 0 < normal < outage < 1"));
        }
        (self.normal, self.most_normal, self.outage) = (normal, normal, outage);
        Ok(self)
    }

    /// Sets the evidence that trips, in nats. Default: 10, around an endpoint 12.
    ///
    /// # Panics
    ///
    /// Unless it is above zero and at most 1000.
    #[must_use]
    #[track_caller]
    pub const fn threshold(self, threshold: f64) -> Self {
        expect(self.try_threshold(threshold))
    }

    /// As [`threshold`](Self::threshold), for a value from outside.
    ///
    /// # Errors
    ///
    /// Unless it is above zero and at most 1000.
    pub const fn try_threshold(mut self, threshold: f64) -> Result<Self, Invalid> {
        if !(threshold > 0.0 && threshold <= 1000.0) {
            return Err(Invalid::new("threshold", "threshold must be above 0 and at most 1000"));
        }
        self.threshold = threshold;
        Ok(self)
    }

    /// Sets the pause after a trip of this rule. Default: the breaker's.
    #[must_use]
    pub const fn pause(mut self, pause: Pause) -> Self {
        self.pause = Some(pause);
        self
    }
}

impl Default for Evidence {
    fn default() -> Self {
        Self::new()
    }
}

/// Trips when the share of bad calls within a sliding window reaches a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub(crate) ratio: f64,
    pub(crate) min_requests: u32,
    pub(crate) window: Window,
    pub(crate) pause: Option<Pause>,
}

impl Ratio {
    /// Least calls in the window for a verdict: 20.
    pub const DEFAULT_MIN_REQUESTS: u32 = 20;

    /// Creates the rule for a share of calls in `0.0 < ratio ≤ 1.0`; reaching it trips. The window is 10 s, with at least 20 calls.
    ///
    /// # Panics
    ///
    /// If the ratio is out of its range.
    #[must_use]
    #[track_caller]
    pub const fn new(ratio: f64) -> Self {
        expect(Self::try_new(ratio))
    }

    /// As [`new`](Self::new), for a value from outside.
    ///
    /// # Errors
    ///
    /// If the ratio is out of its range.
    pub const fn try_new(ratio: f64) -> Result<Self, Invalid> {
        if !(ratio > 0.0 && ratio <= 1.0) {
            return Err(Invalid::new("ratio", "ratio must be above 0.0 and at most 1.0"));
        }
        Ok(Self { ratio, min_requests: Self::DEFAULT_MIN_REQUESTS, window: Window::DEFAULT, pause: None })
    }

    /// Sets the window. A window of calls lowers `min_requests` to its size where that was greater. Default: 10 s.
    #[must_use]
    pub const fn window(mut self, window: Window) -> Self {
        self.window = window;
        if let Span::Calls(calls) = window.0 {
            if self.min_requests > calls {
                self.min_requests = calls;
            }
        }
        self
    }

    /// Sets how many calls the window must hold before the rule judges. Default: 20.
    ///
    /// # Panics
    ///
    /// If it is zero, or greater than a window of calls.
    #[must_use]
    #[track_caller]
    pub const fn min_requests(self, min_requests: u32) -> Self {
        expect(self.try_min_requests(min_requests))
    }

    /// As [`min_requests`](Self::min_requests), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is zero, or greater than a window of calls.
    pub const fn try_min_requests(mut self, min_requests: u32) -> Result<Self, Invalid> {
        if min_requests == 0 {
            return Err(Invalid::new("min_requests", "min_requests must be at least 1"));
        }
        if let Span::Calls(calls) = self.window.0 {
            if min_requests > calls {
                return Err(Invalid::new("min_requests", "min_requests must not exceed the window of calls"));
            }
        }
        self.min_requests = min_requests;
        Ok(self)
    }

    /// Sets the pause after a trip of this rule. Default: the breaker's.
    #[must_use]
    pub const fn pause(mut self, pause: Pause) -> Self {
        self.pause = Some(pause);
        self
    }

    /// The share that trips.
    #[must_use]
    pub const fn share(&self) -> f64 {
        self.ratio
    }

    /// How many calls the window must hold: [`min_requests`](Self::min_requests).
    #[must_use]
    pub const fn least_requests(&self) -> u32 {
        self.min_requests
    }

    /// How far back it looks: its [`window`](Self::window).
    #[must_use]
    pub const fn looks_back(&self) -> Window {
        self.window
    }
}

/// How far back a [`Ratio`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(pub(crate) Span);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Calls(u32),
    Time(Duration),
}

impl Window {
    /// A window of 10 s.
    pub const DEFAULT: Self = Self(Span::Time(Duration::from_secs(10)));
    /// Most calls in a window of calls: 65 536.
    pub const MAX_CALLS: u32 = 1 << 16;

    /// Looks at the last `calls` calls, each leaving as a new one comes; a byte each.
    ///
    /// # Panics
    ///
    /// If it is zero or above [`MAX_CALLS`](Self::MAX_CALLS).
    #[must_use]
    #[track_caller]
    pub const fn calls(calls: u32) -> Self {
        expect(Self::try_calls(calls))
    }

    /// As [`calls`](Self::calls), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is zero or above [`MAX_CALLS`](Self::MAX_CALLS).
    pub const fn try_calls(calls: u32) -> Result<Self, Invalid> {
        if calls == 0 || calls > Self::MAX_CALLS {
            return Err(Invalid::new("window", "window of calls must be within 1..=65536"));
        }
        Ok(Self(Span::Calls(calls)))
    }

    /// Looks back over a length of time, in ten buckets that leave one by one.
    ///
    /// # Panics
    ///
    /// If it is shorter than 10 ns.
    #[must_use]
    #[track_caller]
    pub const fn time(time: Duration) -> Self {
        expect(Self::try_time(time))
    }

    /// As [`time`](Self::time), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is shorter than 10 ns.
    pub const fn try_time(time: Duration) -> Result<Self, Invalid> {
        if time.as_nanos() < 10 {
            return Err(Invalid::new("window", "window of time must be at least 10 ns"));
        }
        Ok(Self(Span::Time(time)))
    }
}

/// Trips after a number of failures in a row. Throttled calls neither count nor break the row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consecutive {
    pub(crate) failures: u32,
    pub(crate) pause: Option<Pause>,
}

impl Consecutive {
    /// Failures in a row that trip: 5.
    pub const DEFAULT_FAILURES: u32 = 5;

    /// Creates the rule.
    ///
    /// # Panics
    ///
    /// If `failures` is zero.
    #[must_use]
    #[track_caller]
    pub const fn new(failures: u32) -> Self {
        expect(Self::try_new(failures))
    }

    /// As [`new`](Self::new), for a value from outside.
    ///
    /// # Errors
    ///
    /// If `failures` is zero.
    pub const fn try_new(failures: u32) -> Result<Self, Invalid> {
        if failures == 0 {
            return Err(Invalid::new("failures", "failures in a row must be at least 1"));
        }
        Ok(Self { failures, pause: None })
    }

    /// Sets the pause after a trip of this rule. Default: the breaker's.
    #[must_use]
    pub const fn pause(mut self, pause: Pause) -> Self {
        self.pause = Some(pause);
        self
    }

    /// How many failures in a row trip.
    #[must_use]
    pub const fn in_a_row(&self) -> u32 {
        self.failures
    }
}

impl Default for Consecutive {
    fn default() -> Self {
        Self::new(Self::DEFAULT_FAILURES)
    }
}
