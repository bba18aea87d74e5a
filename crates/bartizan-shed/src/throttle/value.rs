use crate::Mode;
use bartizan_core::Invalid;
use bartizan_core::show::{Line, Percent, Time, changed};
use std::fmt;
use std::time::Duration;

/// When a caller stops asking a server that refuses.
///
/// Of the requests of the last [`window`](Self::window), the server accepted some. Once `requests` exceed [`k`](Self::k) times `accepts`,
/// the excess is refused here, at random, with the probability
///
/// ```text
/// max(0, (requests − k × accepts) / (requests + 1))
/// ```
///
/// up to [`max_rejection`](Self::max_rejection). A request that is refused here counts as one that was not accepted, so that the server gets
/// about `k` times what it accepts, however much is asked for: enough for it to show when it is well again.
///
/// A request counts when it has ended. It is *accepted* if it succeeded or failed, and not if the server refused it,
/// [`Verdict::Throttled`](bartizan_core::Verdict::Throttled); [`failures`](Self::failures) takes failures for refusals as well. A verdict that is
/// ignored, and a request whose caller left, count nowhere.
///
/// ```
/// use bartizan_shed::Throttle;
/// use std::time::Duration;
///
/// const PAYMENT: Throttle = Throttle::new().accept_rate(0.9).window(Duration::from_secs(30));
/// ```
///
/// # Where it is from
///
/// The rule is Google's: B. Beyer, C. Jones, J. Petoff, N. R. Murphy (eds.), [*Site Reliability Engineering*][sre], chapter 21, "Handling
/// Overload", equation 21-1, two minutes and k = 2 there. Envoy's [admission control filter][envoy] has it with other words, and these are
/// its defaults:
///
/// ```
/// # use bartizan_shed::Throttle;
/// # use std::time::Duration;
/// const ENVOY: Throttle = Throttle::new()
///     .accept_rate(0.95) // sr_threshold
///     .window(Duration::from_secs(30)) // sampling_window
///     .max_rejection(0.8) // max_rejection_probability
///     .aggression(1.0) // aggression
///     .min_requests(0) // rps_threshold, times the window
///     .failures(true)
///     .count_rejections(false);
/// ```
///
/// [sre]: https://sre.google/sre-book/handling-overload/#eq2101
/// [envoy]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/admission_control_filter
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    pub(super) k: f64,
    pub(super) max_rejection: f64,
    pub(super) aggression: f64,
    pub(super) min_requests: u32,
    pub(super) window: Duration,
    pub(super) failures: bool,
    pub(super) count_rejections: bool,
    pub(super) mode: Mode,
    pub(super) seed: Option<u64>,
}

impl Throttle {
    /// Requests for each one that is accepted: 2.
    pub const DEFAULT_K: f64 = 2.0;
    /// The largest share of requests that is refused: 0.9.
    pub const DEFAULT_MAX_REJECTION: f64 = 0.9;
    /// Requests in the window that are evidence enough: 10.
    pub const DEFAULT_MIN_REQUESTS: u32 = 10;
    /// How long a request counts: 60 s.
    pub const DEFAULT_WINDOW: Duration = Duration::from_secs(60);

    /// Creates a throttle that lets two requests through for each one that is accepted, over 60 s, and refuses nine in ten at most.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            k: Self::DEFAULT_K,
            max_rejection: Self::DEFAULT_MAX_REJECTION,
            aggression: 1.0,
            min_requests: Self::DEFAULT_MIN_REQUESTS,
            window: Self::DEFAULT_WINDOW,
            failures: false,
            count_rejections: true,
            mode: Mode::Normal,
            seed: None,
        }
    }

    /// Sets how many requests are let through for each one that the server accepts, within `1.0..=1000.0`. More waste more of the server's
    /// time on refusals, and notice sooner that it is well again. Default: 2.
    ///
    /// # Panics
    ///
    /// If it is out of range.
    #[must_use]
    #[track_caller]
    pub const fn k(self, k: f64) -> Self {
        expect(self.try_k(k))
    }

    /// As [`k`](Self::k), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is out of range.
    pub const fn try_k(mut self, k: f64) -> Result<Self, Invalid> {
        if !(k >= 1.0 && k <= 1000.0) {
            return Err(Invalid::new("k", "k must be within 1..=1000"));
        }
        self.k = k;
        Ok(self)
    }

    /// Sets the share of requests that must be accepted lest some are refused here, within `0.001..=1.0`: [`k`](Self::k) said the
    /// other way round. Default: 0.5.
    ///
    /// # Panics
    ///
    /// If it is out of range.
    #[must_use]
    #[track_caller]
    pub const fn accept_rate(self, accept_rate: f64) -> Self {
        expect(self.try_accept_rate(accept_rate))
    }

    /// As [`accept_rate`](Self::accept_rate), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is out of range.
    pub const fn try_accept_rate(mut self, accept_rate: f64) -> Result<Self, Invalid> {
        if !(accept_rate >= 0.001 && accept_rate <= 1.0) {
            return Err(Invalid::new("accept_rate", "accept_rate must be within 0.001..=1"));
        }
        self.k = 1.0 / accept_rate;
        Ok(self)
    }

    /// Sets the largest share of requests that is refused, within `0.0..=1.0`; the rest find out whether the server is well again. At zero
    /// nothing is refused. Default: 0.9.
    ///
    /// # Panics
    ///
    /// If it is out of range.
    #[must_use]
    #[track_caller]
    pub const fn max_rejection(self, max_rejection: f64) -> Self {
        expect(self.try_max_rejection(max_rejection))
    }

    /// As [`max_rejection`](Self::max_rejection), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is out of range.
    pub const fn try_max_rejection(mut self, max_rejection: f64) -> Result<Self, Invalid> {
        if !(max_rejection >= 0.0 && max_rejection <= 1.0) {
            return Err(Invalid::new("max_rejection", "max_rejection must be within 0..=1"));
        }
        self.max_rejection = max_rejection;
        Ok(self)
    }

    /// Sets how long a request counts, in tenths that are forgotten one by one; at least 1 ms. Default: 60 s.
    ///
    /// # Panics
    ///
    /// If it is shorter than 1 ms.
    #[must_use]
    #[track_caller]
    pub const fn window(self, window: Duration) -> Self {
        expect(self.try_window(window))
    }

    /// As [`window`](Self::window), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is shorter than 1 ms.
    pub const fn try_window(mut self, window: Duration) -> Result<Self, Invalid> {
        if window.as_millis() == 0 {
            return Err(Invalid::new("window", "window must be at least 1 ms"));
        }
        self.window = window;
        Ok(self)
    }

    /// Sets how many requests the window must hold before any is refused. Default: 10.
    #[must_use]
    pub const fn min_requests(mut self, min_requests: u32) -> Self {
        self.min_requests = min_requests;
        self
    }

    /// Bends the probability to its `aggression`-th root, within `1.0..=100.0`: more is refused at the first sign of trouble. Default: 1, as
    /// it is.
    ///
    /// # Panics
    ///
    /// If it is out of range.
    #[must_use]
    #[track_caller]
    pub const fn aggression(self, aggression: f64) -> Self {
        expect(self.try_aggression(aggression))
    }

    /// As [`aggression`](Self::aggression), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is out of range.
    pub const fn try_aggression(mut self, aggression: f64) -> Result<Self, Invalid> {
        if !(aggression >= 1.0 && aggression <= 100.0) {
            return Err(Invalid::new("aggression", "aggression must be within 1..=100"));
        }
        self.aggression = aggression;
        Ok(self)
    }

    /// Counts failures as refusals of the server too, for a server that fails where others refuse. Default: off, a failed request was
    /// accepted.
    #[must_use]
    pub const fn failures(mut self, failures: bool) -> Self {
        self.failures = failures;
        self
    }

    /// Sets whether a request that is refused here counts as one that was not accepted. Without that, what is asked of the server still grows
    /// with the root of what is asked for. Default: on.
    #[must_use]
    pub const fn count_rejections(mut self, count_rejections: bool) -> Self {
        self.count_rejections = count_rejections;
        self
    }

    /// Sets the mode. In shadow, requests that would be refused pass and are counted. Default: [`Mode::Normal`].
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Switches the throttle on, or off with `false`: [`Mode::Normal`] or [`Mode::Disabled`]. Default: on.
    #[must_use]
    pub const fn enabled(self, enabled: bool) -> Self {
        self.mode(if enabled { Mode::Normal } else { Mode::Disabled })
    }

    /// Sets the seed of the dice, so that a run can be repeated. Default: a random one.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The [mode](Self::mode).
    #[must_use]
    pub const fn in_mode(&self) -> Mode {
        self.mode
    }

    /// Whether it is on: in any mode but [`Mode::Disabled`].
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        !matches!(self.mode, Mode::Disabled)
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

/// One line: `2 for each that is accepted, refuses at most 90 %, window 60 s`, or `off`.
impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_enabled() {
            return f.write_str("off");
        }
        Line::new(f)
            .when(self.mode != Mode::Normal, format_args!("{}", self.mode))
            .add(format_args!("{} for each that is accepted", self.k))
            .add(format_args!("refuses at most {}", Percent(self.max_rejection)))
            .add(format_args!("window {}", Time(self.window)))
            .some("aggression", changed(self.aggression, 1.0))
            .some("from", changed(self.min_requests, Self::DEFAULT_MIN_REQUESTS))
            .when(self.failures, format_args!("failures too"))
            .when(!self.count_rejections, format_args!("own refusals not counted"))
            .some("seed", self.seed)
            .finish()
    }
}

/// Unwraps a setting in a constant, with the field's message.
#[track_caller]
const fn expect(setting: Result<Throttle, Invalid>) -> Throttle {
    match setting {
        Ok(setting) => setting,
        Err(invalid) => panic!("{}", invalid.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_what_was_set() {
        let throttle = Throttle::new();
        let envoy = throttle.accept_rate(0.8).max_rejection(0.8).aggression(2.0).min_requests(0);
        for (throttle, shown) in [
            (throttle, "2 for each that is accepted, refuses at most 90 %, window 60 s"),
            (
                envoy.failures(true).count_rejections(false).seed(7),
                "1.25 for each that is accepted, refuses at most 80 %, window 60 s, aggression 2, from 0, failures too, \
                 own refusals not counted, seed 7",
            ),
            (
                throttle.mode(Mode::Shadow).window(Duration::from_millis(1500)),
                "shadow, 2 for each that is accepted, refuses at most 90 %, window 1.5 s",
            ),
            (throttle.seed(7).enabled(false), "off"),
        ] {
            assert_eq!(throttle.to_string(), shown);
        }
        assert_eq!((throttle.in_mode(), throttle.enabled(false).is_enabled()), (Mode::Normal, false));
    }
}
