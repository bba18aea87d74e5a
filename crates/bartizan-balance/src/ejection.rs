//! Passive ejection: an endpoint is judged by how the calls to it end, and gets none for a while if they end badly.

mod cause;
mod excess;
mod outliers;
mod rules;
mod ruling;
mod sentence;
mod share;
mod streaks;
mod tally;

pub use cause::{Cause, Ejections};
pub(crate) use excess::Record;
pub(crate) use outliers::{Memory, Sample, outliers};
pub use rules::{Excess, FailureRatio, Slowness, SuccessRate};
pub(crate) use ruling::Ruling;
pub(crate) use sentence::Sentence;
pub(crate) use share::{Crowd, Room};
pub(crate) use streaks::{Origin, Streaks};
pub(crate) use tally::Tally;

use bartizan_core::Invalid;
use rules::expect;
use std::num::NonZeroU32;
use std::time::Duration;

/// When an endpoint is ejected for how the calls to it end, for how long, and how many may be out at a time.
///
/// It is ejected on the first of its rules that fires. After *failures in a row* it is out at once: five of any kind, of
/// answers 502 to 504, or of calls that got no answer at all. At the end of each *interval* it is compared with the others:
/// by default for an [`Excess`] of failures, on demand by [`SuccessRate`], [`FailureRatio`] and [`Slowness`]. Its pause is
/// [`pause`](Self::pause) times the ejections in a row; an interval in which it was in use and well takes one off that
/// number, time alone does not.
///
/// Some errors are everybody's. There are never more endpoints out than [`max_ejected`](Self::max_ejected) allows, never
/// all, and none follows while more than [`max_failing`](Self::max_failing) of the others have failed their last call.
///
/// The rules but the first of an interval, the pause and the cap are those of Envoy (*Outlier detection*, architecture
/// overview and `config.cluster.v3.OutlierDetection`); gRPC has taken two of them over (proposal A50).
///
/// ```
/// use bartizan_balance::{Ejection, FailureRatio};
/// use std::time::Duration;
///
/// const EJECTION: Ejection = Ejection::new()
///     .consecutive(3)
///     .failure_ratio(FailureRatio::new())
///     .pause(Duration::from_secs(10))
///     .max_ejected(0.3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    pub(crate) enabled: bool,
    pub(crate) consecutive: Option<NonZeroU32>,
    pub(crate) consecutive_gateway: Option<NonZeroU32>,
    pub(crate) consecutive_local: Option<NonZeroU32>,
    pub(crate) split_local: bool,
    pub(crate) excess: Option<Excess>,
    pub(crate) success_rate: Option<SuccessRate>,
    pub(crate) failure_ratio: Option<FailureRatio>,
    pub(crate) slowness: Option<Slowness>,
    pub(crate) interval: Duration,
    pub(crate) pause: Duration,
    /// Unless it was set, it follows the pause.
    pub(crate) max_pause: Option<Duration>,
    pub(crate) jitter: f64,
    pub(crate) max_ejected: f64,
    pub(crate) max_failing: f64,
    pub(crate) enforcing: f64,
    pub(crate) pardon: bool,
}

impl Ejection {
    /// Failures in a row that eject: 5.
    pub const DEFAULT_CONSECUTIVE: u32 = 5;
    /// Calls in a row without an answer that eject: 5.
    pub const DEFAULT_CONSECUTIVE_LOCAL: u32 = 5;
    /// Up to where calls in a row are counted: 1 000 000. A greater number means this one.
    pub const MAX_CONSECUTIVE: u32 = 1_000_000;
    /// Time between two comparisons of the endpoints: 10 s.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
    /// First pause: 30 s.
    pub const DEFAULT_PAUSE: Duration = Duration::from_secs(30);
    /// Longest pause: 300 s.
    pub const DEFAULT_MAX_PAUSE: Duration = Duration::from_secs(300);
    /// Share up to which a pause is cut short at random: 0.1.
    pub const DEFAULT_JITTER: f64 = 0.1;
    /// Share of the endpoints that may be out at a time: 10 %, but one in any case.
    pub const DEFAULT_MAX_EJECTED: f64 = 0.1;
    /// Share of the other endpoints with a failed last call beyond which none is ejected: a third.
    pub const DEFAULT_MAX_FAILING: f64 = 1.0 / 3.0;

    /// Creates an ejection after five failures in a row or for an [`Excess`] of failures, for 30 s times the ejections in a row up
    /// to 300 s, of at most 10 % of the endpoints and at least one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            enabled: true,
            consecutive: in_a_row(Self::DEFAULT_CONSECUTIVE),
            consecutive_gateway: None,
            consecutive_local: in_a_row(Self::DEFAULT_CONSECUTIVE_LOCAL),
            split_local: false,
            excess: Some(Excess::new()),
            success_rate: None,
            failure_ratio: None,
            slowness: None,
            interval: Self::DEFAULT_INTERVAL,
            pause: Self::DEFAULT_PAUSE,
            max_pause: None,
            jitter: Self::DEFAULT_JITTER,
            max_ejected: Self::DEFAULT_MAX_EJECTED,
            max_failing: Self::DEFAULT_MAX_FAILING,
            enforcing: 1.0,
            pardon: true,
        }
    }

    /// Switches ejection on, or off with `false`: no rule fires then. Default: on.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets how many failures in a row eject, of any kind (but see [`split_local`](Self::split_local)). Zero: none do.
    /// Default: 5.
    #[must_use]
    pub const fn consecutive(mut self, failures: u32) -> Self {
        self.consecutive = in_a_row(failures);
        self
    }

    /// Sets how many answers 502, 503 or 504 in a row eject; calls without an answer count as such (but see
    /// [`split_local`](Self::split_local)), another failure ends the row. Zero: none do. Default: off.
    #[must_use]
    pub const fn consecutive_gateway(mut self, failures: u32) -> Self {
        self.consecutive_gateway = in_a_row(failures);
        self
    }

    /// Sets how many calls in a row without an answer eject: connections that fail or break, time-outs. Any answer ends the
    /// row, a bad one too. Zero: none do. Default: 5.
    #[must_use]
    pub const fn consecutive_local(mut self, failures: u32) -> Self {
        self.consecutive_local = in_a_row(failures);
        self
    }

    /// Counts calls without an answer apart from what servers answer: in rows by [`consecutive_local`](Self::consecutive_local)
    /// alone, and for [`Excess`] in a comparison of their own; the other rules of an interval do not see them. Default: off.
    #[must_use]
    pub const fn split_local(mut self, split: bool) -> Self {
        self.split_local = split;
        self
    }

    /// Sets by how much an endpoint must fail more than the others. Default: [`Excess::new`].
    #[must_use]
    pub const fn excess(mut self, excess: Excess) -> Self {
        self.excess = Some(excess);
        self
    }

    /// Takes the rule of [`Excess`] out.
    #[must_use]
    pub const fn without_excess(mut self) -> Self {
        self.excess = None;
        self
    }

    /// Ejects as well by distance from the mean rate of success. Default: off.
    #[must_use]
    pub const fn success_rate(mut self, rule: SuccessRate) -> Self {
        self.success_rate = Some(rule);
        self
    }

    /// Ejects as well when the share of failures in an interval reaches a ratio. Default: off.
    #[must_use]
    pub const fn failure_ratio(mut self, rule: FailureRatio) -> Self {
        self.failure_ratio = Some(rule);
        self
    }

    /// Ejects as well who answers far more slowly than the others. Default: off, as a choice by latency gives such an
    /// endpoint little to do and keeps what it can still carry.
    #[must_use]
    pub const fn slowness(mut self, rule: Slowness) -> Self {
        self.slowness = Some(rule);
        self
    }

    /// Sets the time between two comparisons of the endpoints. Default: 10 s.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub const fn interval(self, interval: Duration) -> Self {
        expect(self.try_interval(interval))
    }

    /// As [`interval`](Self::interval), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub const fn try_interval(mut self, interval: Duration) -> Result<Self, Invalid> {
        if interval.is_zero() {
            return Err(Invalid::new("interval", "interval must be above zero"));
        }
        self.interval = interval;
        Ok(self)
    }

    /// Sets the first pause; the n-th in a row is n times as long, up to [`max_pause`](Self::max_pause), which is this
    /// pause where it was not set and would be shorter. Default: 30 s.
    ///
    /// # Panics
    ///
    /// If it is zero, or longer than a [`max_pause`](Self::max_pause) that was set.
    #[must_use]
    #[track_caller]
    pub const fn pause(self, pause: Duration) -> Self {
        expect(self.try_pause(pause))
    }

    /// As [`pause`](Self::pause), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is zero, or longer than a [`max_pause`](Self::max_pause) that was set.
    pub const fn try_pause(mut self, pause: Duration) -> Result<Self, Invalid> {
        if pause.is_zero() {
            return Err(Invalid::new("pause", "pause must be above zero"));
        }
        if let Some(max_pause) = self.max_pause {
            if pause.as_nanos() > max_pause.as_nanos() {
                return Err(Invalid::new("pause", "pause must not be longer than max_pause"));
            }
        }
        self.pause = pause;
        Ok(self)
    }

    /// Sets the longest pause. Default: 300 s, or [`pause`](Self::pause) where that is longer.
    ///
    /// # Panics
    ///
    /// If it is shorter than [`pause`](Self::pause), which is 30 s where it was not set yet.
    #[must_use]
    #[track_caller]
    pub const fn max_pause(self, max_pause: Duration) -> Self {
        expect(self.try_max_pause(max_pause))
    }

    /// As [`max_pause`](Self::max_pause), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is shorter than [`pause`](Self::pause), which is 30 s where it was not set yet.
    pub const fn try_max_pause(mut self, max_pause: Duration) -> Result<Self, Invalid> {
        if max_pause.as_nanos() < self.pause.as_nanos() {
            return Err(Invalid::new("max_pause", "max_pause must not be shorter than pause"));
        }
        self.max_pause = Some(max_pause);
        Ok(self)
    }

    /// Sets the share, in `0.0..=1.0`, up to which a pause is cut short at random, so that not all callers come back at once. Zero
    /// is exact. Default: 0.1.
    ///
    /// # Panics
    ///
    /// If it is not within `0.0..=1.0`.
    #[must_use]
    #[track_caller]
    pub const fn jitter(self, jitter: f64) -> Self {
        expect(self.try_jitter(jitter))
    }

    /// As [`jitter`](Self::jitter), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not within `0.0..=1.0`.
    pub const fn try_jitter(mut self, jitter: f64) -> Result<Self, Invalid> {
        if !is_share(jitter) {
            return Err(Invalid::new("jitter", "jitter must be within 0.0..=1.0"));
        }
        self.jitter = jitter;
        Ok(self)
    }

    /// Sets the share of the endpoints, in `0.0..=1.0`, that may be out at a time. Above zero it is at least one endpoint, but
    /// never all; zero ejects none. Default: 0.1.
    ///
    /// # Panics
    ///
    /// If it is not within `0.0..=1.0`.
    #[must_use]
    #[track_caller]
    pub const fn max_ejected(self, share: f64) -> Self {
        expect(self.try_max_ejected(share))
    }

    /// As [`max_ejected`](Self::max_ejected), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not within `0.0..=1.0`.
    pub const fn try_max_ejected(mut self, share: f64) -> Result<Self, Invalid> {
        if !is_share(share) {
            return Err(Invalid::new("max_ejected", "max_ejected must be within 0.0..=1.0"));
        }
        self.max_ejected = share;
        Ok(self)
    }

    /// Sets the share, in `0.0..=1.0`, of the other endpoints in use that may have failed their last call: while it is more, the
    /// trouble is taken for everybody's and none is ejected. One switches this off. Default: a third.
    ///
    /// # Panics
    ///
    /// If it is not within `0.0..=1.0`.
    #[must_use]
    #[track_caller]
    pub const fn max_failing(self, share: f64) -> Self {
        expect(self.try_max_failing(share))
    }

    /// As [`max_failing`](Self::max_failing), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not within `0.0..=1.0`.
    pub const fn try_max_failing(mut self, share: f64) -> Result<Self, Invalid> {
        if !is_share(share) {
            return Err(Invalid::new("max_failing", "max_failing must be within 0.0..=1.0"));
        }
        self.max_failing = share;
        Ok(self)
    }

    /// Sets the share, in `0.0..=1.0`, of the ejections that are carried out; the others are told and counted only. Zero
    /// watches. Default: 1.
    ///
    /// # Panics
    ///
    /// If it is not within `0.0..=1.0`.
    #[must_use]
    #[track_caller]
    pub const fn enforcing(self, share: f64) -> Self {
        expect(self.try_enforcing(share))
    }

    /// As [`enforcing`](Self::enforcing), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is not within `0.0..=1.0`.
    pub const fn try_enforcing(mut self, share: f64) -> Result<Self, Invalid> {
        if !is_share(share) {
            return Err(Invalid::new("enforcing", "enforcing must be within 0.0..=1.0"));
        }
        self.enforcing = share;
        Ok(self)
    }

    /// Whether a heartbeat that passes ends an ejection at once. The next one counts as a repeat. Default: yes.
    #[must_use]
    pub const fn pardon(mut self, pardon: bool) -> Self {
        self.pardon = pardon;
        self
    }

    /// The first pause: [`pause`](Self::pause).
    #[must_use]
    pub const fn first_pause(&self) -> Duration {
        self.pause
    }

    /// The longest pause that holds: [`max_pause`](Self::max_pause), or the first one where that was not set and would be shorter.
    #[must_use]
    pub fn longest_pause(&self) -> Duration {
        self.max_pause.unwrap_or(Self::DEFAULT_MAX_PAUSE.max(self.pause))
    }

    /// The share of the endpoints that may be out: [`max_ejected`](Self::max_ejected).
    #[must_use]
    pub const fn most_ejected(&self) -> f64 {
        self.max_ejected
    }

    /// Whether it is on.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self::new()
    }
}

const fn in_a_row(failures: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(if failures > Ejection::MAX_CONSECUTIVE { Ejection::MAX_CONSECUTIVE } else { failures })
}

const fn is_share(share: f64) -> bool {
    share >= 0.0 && share <= 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(10);

    fn field(result: Result<Ejection, Invalid>) -> Option<&'static str> {
        result.map_err(|invalid| invalid.field()).err()
    }

    #[test]
    fn nonsense_is_refused_with_its_field() {
        let ejection = Ejection::new();
        for wrong in [1.01, -0.01, f64::NAN, f64::INFINITY] {
            assert_eq!(field(ejection.try_max_ejected(wrong)), Some("max_ejected"));
            assert_eq!(field(ejection.try_max_failing(wrong)), Some("max_failing"));
            assert_eq!(field(ejection.try_enforcing(wrong)), Some("enforcing"));
            assert_eq!(field(ejection.try_jitter(wrong)), Some("jitter"));
        }
        assert_eq!(field(ejection.try_interval(Duration::ZERO)), Some("interval"));
        assert_eq!(field(ejection.try_pause(Duration::ZERO)), Some("pause"));
    }

    #[test]
    fn the_cap_is_held_against_the_pause_in_either_order() {
        let ejection = Ejection::new();
        assert_eq!(field(ejection.try_max_pause(BASE)), Some("max_pause"));
        assert_eq!(field(ejection.pause(BASE).max_pause(BASE).try_pause(2 * BASE)), Some("pause"));
        assert_eq!(ejection.longest_pause(), Ejection::DEFAULT_MAX_PAUSE);
        assert_eq!(ejection.pause(60 * BASE).longest_pause(), 60 * BASE, "a cap that nobody set makes room");
        assert_eq!(ejection.pause(60 * BASE).pause(BASE).longest_pause(), Ejection::DEFAULT_MAX_PAUSE);
    }

    #[test]
    fn no_failures_in_a_row_is_off() {
        assert_eq!(Ejection::new().consecutive(0).consecutive, None);
        let most = Ejection::new().consecutive(u32::MAX).consecutive.map(NonZeroU32::get);
        assert_eq!(most, Some(Ejection::MAX_CONSECUTIVE));
    }
}
