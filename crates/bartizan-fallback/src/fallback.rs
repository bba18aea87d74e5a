use crate::on::FallbackOn;
use std::fmt;
use std::time::Duration;

/// When something else takes the place of a failed call. What that is, [`FallbackLayer`](crate::FallbackLayer) is told.
///
/// ```
/// use bartizan_fallback::{Fallback, FallbackOn};
///
/// const GENTLE: Fallback = Fallback::new().on(FallbackOn::REFUSALS.and(FallbackOn::TIMEOUTS)).max_in_flight(20);
/// assert_eq!(GENTLE.to_string(), "on refusals, time-outs; reads alone, at most 20 at once");
/// assert_eq!(GENTLE.enabled(false).to_string(), "off");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    pub(crate) on: FallbackOn,
    pub(crate) writes: bool,
    pub(crate) max_in_flight: usize,
    pub(crate) max_wait: Duration,
    pub(crate) enabled: bool,
}

impl Fallback {
    /// Asynchronous fallbacks at once: 100.
    pub const DEFAULT_MAX_IN_FLIGHT: usize = 100;
    /// Wait for an inner service that is not ready: none.
    pub const DEFAULT_MAX_WAIT: Duration = Duration::ZERO;

    /// Creates a value with the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            on: FallbackOn::FAILURES,
            writes: false,
            max_in_flight: Self::DEFAULT_MAX_IN_FLIGHT,
            max_wait: Self::DEFAULT_MAX_WAIT,
            enabled: true,
        }
    }

    /// Sets which failures something else takes the place of. Default: [`FallbackOn::FAILURES`].
    #[must_use]
    pub const fn on(mut self, on: FallbackOn) -> Self {
        self.on = on;
        self
    }

    /// Sets whether writes get a fallback as well: whoever asked for one would be told that it was done. Default: false, only reads
    /// do, which are `GET`, `HEAD`, `OPTIONS`, `TRACE`, and what a [rule](crate::FallbackLayer::reads) of the layer calls one.
    #[must_use]
    pub const fn writes(mut self, writes: bool) -> Self {
        self.writes = writes;
        self
    }

    /// Sets how many [asynchronous functions](crate::FallbackLayer::call) may be under way at once. Beyond that a failure goes out as it is.
    /// Zero calls none. Default: [`DEFAULT_MAX_IN_FLIGHT`](Self::DEFAULT_MAX_IN_FLIGHT), 100.
    #[must_use]
    pub const fn max_in_flight(mut self, fallbacks: usize) -> Self {
        self.max_in_flight = fallbacks;
        self
    }

    /// Sets how long a call waits for an inner service that is not ready, before the fallback takes its place. The layer itself is
    /// ready at once. Default: [`DEFAULT_MAX_WAIT`](Self::DEFAULT_MAX_WAIT), zero.
    ///
    /// A service of which every clone has to be polled for a while until it is ready would never be called without it.
    #[must_use]
    pub const fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Switches the layer off and on: off, it passes everything on untouched. Default: on.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }
}

impl Default for Fallback {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Fallback {
    /// What matters, in one line; `off` where it is switched off.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            return f.write_str("off");
        }
        let calls = if self.writes { "reads and writes" } else { "reads alone" };
        write!(f, "on {}; {calls}, at most {} at once", self.on, self.max_in_flight)?;
        if self.max_wait.is_zero() { Ok(()) } else { write!(f, ", after a wait of {:?}", self.max_wait) }
    }
}
