use crate::shed::expect;
use bartizan_core::Invalid;
use std::time::Duration;

/// A queue of bounded length before the limit, for bursts that are over soon.
///
/// Who finds no place waits for one, if the queue has room. More important requests are served first, and among equals the oldest. Once
/// the queue has not been empty for an [`interval`](Self::interval), it is no burst: from then on the newest are served first, as
/// the oldest are those whose callers are about to give up (adaptive LIFO: B. Maurer, "Fail at Scale", ACM Queue 13 (8), 2015).
/// A waiting request is refused
///
/// - when it has waited for [`max_wait`](Self::max_wait);
/// - as soon as it cannot meet its deadline, by the time that requests took lately: at the entry, and again when it has its turn;
/// - when a more important one comes and the queue is full: the last in line goes;
/// - when the oldest of those who wait has waited for more than the [`target`](Self::target) throughout an interval: the oldest of the least
///   important goes, and the next ones after ever shorter times, until that is over (CoDel: K. Nichols, V. Jacobson, A. McGregor, J. Iyengar,
///   RFC 8289).
///
/// Who gives up waiting gives its place in the queue back, and one to which its turn was given at that moment passes it on.
///
/// ```
/// use bartizan_shed::{Backlog, Shed, ShedLayer};
/// use std::time::Duration;
///
/// let backlog = Backlog::new(64).max_wait(Duration::from_millis(250));
/// let layer = ShedLayer::new(Shed::fixed(32)).backlog(backlog);
/// ```
///
/// The target is for work of a few milliseconds. Where work is slower, the oldest wait for longer as a matter of course, and some of every
/// burst are refused long before `max_wait`. Then set a target that suits the work, or let the queue be a plain one:
///
/// ```
/// # use bartizan_shed::Backlog;
/// # use std::time::Duration;
/// let in_turn = Backlog::new(20).target(Duration::MAX).interval(Duration::MAX);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    pub(crate) places: usize,
    pub(crate) max_wait: Duration,
    pub(crate) target: Duration,
    pub(crate) interval: Duration,
}

impl Backlog {
    /// How long a request waits at most: 1 s.
    pub const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(1);
    /// How long the oldest may have waited for good: 5 ms.
    pub const DEFAULT_TARGET: Duration = Duration::from_millis(5);
    /// For how long a queue is a burst: 100 ms.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_millis(100);
    /// Most places: 2²⁰.
    pub const MAX_PLACES: usize = 1 << 20;

    /// Creates a queue of so many places.
    ///
    /// # Panics
    ///
    /// If there is none or more than [`MAX_PLACES`](Self::MAX_PLACES).
    #[must_use]
    #[track_caller]
    pub const fn new(places: usize) -> Self {
        expect(Self::try_new(places))
    }

    /// As [`new`](Self::new), for a value from outside.
    ///
    /// # Errors
    ///
    /// If there is none or more than [`MAX_PLACES`](Self::MAX_PLACES).
    pub const fn try_new(places: usize) -> Result<Self, Invalid> {
        if places == 0 || places > Self::MAX_PLACES {
            return Err(Invalid::new("places", "places of a backlog must be within 1..=1048576"));
        }
        Ok(Self {
            places,
            max_wait: Self::DEFAULT_MAX_WAIT,
            target: Self::DEFAULT_TARGET,
            interval: Self::DEFAULT_INTERVAL,
        })
    }

    /// Sets how long a request waits at most. Zero refuses at the first look. Default: 1 s.
    #[must_use]
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Sets how long the oldest may have waited throughout an [`interval`](Self::interval). [`Duration::MAX`] drops nobody for that.
    /// Default: 5 ms.
    #[must_use]
    pub const fn target(mut self, target: Duration) -> Self {
        self.target = target;
        self
    }

    /// Sets for how long a queue that is not empty counts as a burst. [`Duration::MAX`] serves the oldest first for ever. Default: 100 ms.
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

    /// How long a request waits at most: [`max_wait`](Self::max_wait).
    #[must_use]
    pub const fn longest_wait(&self) -> Duration {
        self.max_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let field = |tried: Result<Backlog, Invalid>| tried.err().map(|invalid| invalid.field());
        assert_eq!(field(Backlog::try_new(0)), Some("places"));
        assert_eq!(field(Backlog::try_new(Backlog::MAX_PLACES + 1)), Some("places"));
        assert_eq!(field(Backlog::new(1).try_interval(Duration::ZERO)), Some("interval"));
    }
}
