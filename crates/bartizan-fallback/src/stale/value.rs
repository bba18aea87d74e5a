use crate::FallbackOn;
use bartizan_core::Invalid;
use bartizan_core::show::{Bytes, Count, Line, Time, changed};
use std::fmt;
use std::time::Duration;

/// When the last good answer takes the place of a call, and how much is kept for that.
///
/// An answer is kept if HTTP lets a cache do so that serves all callers alike (RFC 9111 §3); for how long it may be served beyond its
/// freshness, it says itself (RFC 5861), or this value does.
///
/// ```
/// use bartizan_fallback::Stale;
/// use std::time::Duration;
///
/// let stale = Stale::new().if_error(Duration::from_secs(600)).coalesce(true);
/// assert_eq!(stale.to_string(), "10 min on failure, coalesces, 1000 entries, 16 MiB");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    pub(crate) if_error: Option<Duration>,
    pub(crate) while_revalidate: Option<Duration>,
    pub(crate) fresh: bool,
    pub(crate) coalesce: bool,
    pub(crate) lease: Duration,
    pub(crate) max_waiting: usize,
    pub(crate) max_entries: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_body: usize,
    pub(crate) min_backoff: Duration,
    pub(crate) max_backoff: Duration,
    pub(crate) max_refreshes: usize,
    pub(crate) on: FallbackOn,
    pub(crate) seed: Option<u64>,
    pub(crate) enabled: bool,
}

const NO_RANGE: &str = "refresh_backoff: max must not be less than min";
const NO_LEASE: &str = "lease must be above zero";

impl Stale {
    /// How long a leader may keep others waiting, and a refresh may take: 5 s.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(5);
    /// Reads that wait for another at once: 10 000.
    pub const DEFAULT_MAX_WAITING: usize = 10_000;
    /// Answers that are kept: 1000.
    pub const DEFAULT_MAX_ENTRIES: usize = 1000;
    /// Bytes that are kept: 16 MiB.
    pub const DEFAULT_MAX_BYTES: usize = 16 << 20;
    /// Bytes of a body that is kept: 1 MiB.
    pub const DEFAULT_MAX_BODY: usize = 1 << 20;
    /// For how long a service is spared after a first failure: 100 ms.
    pub const DEFAULT_MIN_BACKOFF: Duration = Duration::from_millis(100);
    /// For how long a service is spared at most: 10 s.
    pub const DEFAULT_MAX_BACKOFF: Duration = Duration::from_secs(10);
    /// Refreshes in the background at once: 16.
    pub const DEFAULT_MAX_REFRESHES: usize = 16;

    /// Creates a value with the defaults: only what answers themselves allow.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            if_error: None,
            while_revalidate: None,
            fresh: false,
            coalesce: false,
            lease: Self::DEFAULT_LEASE,
            max_waiting: Self::DEFAULT_MAX_WAITING,
            max_entries: Self::DEFAULT_MAX_ENTRIES,
            max_bytes: Self::DEFAULT_MAX_BYTES,
            max_body: Self::DEFAULT_MAX_BODY,
            min_backoff: Self::DEFAULT_MIN_BACKOFF,
            max_backoff: Self::DEFAULT_MAX_BACKOFF,
            max_refreshes: Self::DEFAULT_MAX_REFRESHES,
            on: FallbackOn::FAILURES,
            seed: None,
            enabled: true,
        }
    }

    /// Sets for how long beyond its freshness an answer may take the place of a failure. One that says nothing of freshness is stale
    /// from its first second. An answer can say less by `stale-if-error`, and forbid it by `must-revalidate`, `proxy-revalidate` or
    /// `s-maxage`. Zero never. Default: only as long as answers say.
    #[must_use]
    pub const fn if_error(mut self, limit: Duration) -> Self {
        self.if_error = Some(limit);
        self
    }

    /// Sets for how long beyond its freshness an answer may be served at once, while a new one is fetched in the background. What may
    /// be served stale is served as long as it is fresh as well. Answers can say less by `stale-while-revalidate`, or forbid it as
    /// with [`if_error`](Self::if_error). Zero never. Default: only as long as answers say.
    #[must_use]
    pub const fn while_revalidate(mut self, limit: Duration) -> Self {
        self.while_revalidate = Some(limit);
        self
    }

    /// Sets whether an answer is served without a call as long as it is fresh: an HTTP cache. Default: false, each call goes out while
    /// all is well.
    #[must_use]
    pub const fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Sets whether equal reads at once make one call. The others wait for its answer, whole, and share it if it may be kept; if it may not,
    /// all of them go out at once. Default: false.
    #[must_use]
    pub const fn coalesce(mut self, coalesce: bool) -> Self {
        self.coalesce = coalesce;
        self
    }

    /// Sets how long the call that others wait for may take, to the end of its body, before the next of them goes out; and after what time a
    /// refresh in the background is given up. Default: [`DEFAULT_LEASE`](Self::DEFAULT_LEASE), 5 s.
    ///
    /// # Panics
    ///
    /// When it is zero; [`try_lease`](Self::try_lease) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn lease(self, lease: Duration) -> Self {
        match self.try_lease(lease) {
            Ok(stale) => stale,
            Err(_) => panic!("{}", NO_LEASE),
        }
    }

    /// Sets how long the others wait, as [`lease`](Self::lease) does.
    ///
    /// # Errors
    ///
    /// When it is zero.
    pub const fn try_lease(mut self, lease: Duration) -> Result<Self, Invalid> {
        if lease.is_zero() {
            return Err(Invalid::new("lease", NO_LEASE));
        }
        self.lease = lease;
        Ok(self)
    }

    /// Sets how many reads may wait for others at once. Further ones go out. Default:
    /// [`DEFAULT_MAX_WAITING`](Self::DEFAULT_MAX_WAITING), 10 000.
    #[must_use]
    pub const fn max_waiting(mut self, reads: usize) -> Self {
        self.max_waiting = reads;
        self
    }

    /// Sets how many answers are kept; zero keeps none. Default: [`DEFAULT_MAX_ENTRIES`](Self::DEFAULT_MAX_ENTRIES), 1000.
    #[must_use]
    pub const fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets how many bytes are kept: bodies, fields and what it takes to keep them. As many are at most in use for bodies that are under
    /// way. Default: [`DEFAULT_MAX_BYTES`](Self::DEFAULT_MAX_BYTES), 16 MiB.
    ///
    /// Room is shared out so that both this and [`max_entries`](Self::max_entries) hold at all times: an answer takes its own size, and at
    /// least the share of one entry.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how large a body is kept. A larger one goes through untouched. Default: [`DEFAULT_MAX_BODY`](Self::DEFAULT_MAX_BODY),
    /// 1 MiB.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets for how long a service is spared after a failure in whose place a stale answer was served: `min`, and twice as long after
    /// each further failure in a row, up to `max`, of which jitter takes off up to a half. A `Retry-After` is respected up to `max`.
    /// Until then, reads of the same answer are served from the store without a call, as long as it may be served on failure; then
    /// one of them goes out. Zero spares nothing. Default: [`DEFAULT_MIN_BACKOFF`](Self::DEFAULT_MIN_BACKOFF), 100 ms, to
    /// [`DEFAULT_MAX_BACKOFF`](Self::DEFAULT_MAX_BACKOFF), 10 s.
    ///
    /// # Panics
    ///
    /// When `max` is less than `min`; [`try_refresh_backoff`](Self::try_refresh_backoff) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn refresh_backoff(self, min: Duration, max: Duration) -> Self {
        match self.try_refresh_backoff(min, max) {
            Ok(stale) => stale,
            Err(_) => panic!("{}", NO_RANGE),
        }
    }

    /// Sets for how long a service is spared, as [`refresh_backoff`](Self::refresh_backoff) does.
    ///
    /// # Errors
    ///
    /// When `max` is less than `min`.
    pub const fn try_refresh_backoff(mut self, min: Duration, max: Duration) -> Result<Self, Invalid> {
        if min.as_nanos() > max.as_nanos() {
            return Err(Invalid::new("refresh_backoff", NO_RANGE));
        }
        self.min_backoff = min;
        self.max_backoff = max;
        Ok(self)
    }

    /// Sets how many refreshes may go on in the background, one of each answer. Beyond it answers are served without one. Default:
    /// [`DEFAULT_MAX_REFRESHES`](Self::DEFAULT_MAX_REFRESHES), 16.
    #[must_use]
    pub const fn max_refreshes(mut self, refreshes: usize) -> Self {
        self.max_refreshes = refreshes;
        self
    }

    /// Sets which failures a stale answer takes the place of. Default: [`FallbackOn::FAILURES`].
    #[must_use]
    pub const fn on(mut self, on: FallbackOn) -> Self {
        self.on = on;
        self
    }

    /// Sets the seed of the jitter's dice, so that a run can be repeated. Default: a random one.
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

    /// Whether it is on.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// How long the call that others wait for may take: [`lease`](Self::lease).
    #[must_use]
    pub const fn longest_lease(&self) -> Duration {
        self.lease
    }
}

impl Default for Stale {
    fn default() -> Self {
        Self::new()
    }
}

/// One line: `what answers allow, 1000 entries, 16 MiB`, `10 min on failure, 1 min while refreshed, …`, or `off`.
impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            return f.write_str("off");
        }
        let backoff = changed(
            (self.min_backoff, self.max_backoff),
            (Self::DEFAULT_MIN_BACKOFF, Self::DEFAULT_MAX_BACKOFF),
        );
        let mut line = Line::new(f);
        if let Some(limit) = self.if_error {
            line.add(format_args!("{} on failure", Time(limit)));
        }
        if let Some(limit) = self.while_revalidate {
            line.add(format_args!("{} while refreshed", Time(limit)));
        }
        line.when(
            self.if_error.is_none() && self.while_revalidate.is_none(),
            format_args!("what answers allow"),
        )
        .when(self.fresh, format_args!("fresh without a call"))
        .when(self.coalesce, format_args!("coalesces"))
        .some("on", changed(self.on, FallbackOn::FAILURES))
        .add(format_args!("{}", Count(self.max_entries as u64, "entry", "entries")))
        .add(format_args!("{}", Bytes(self.max_bytes)))
        .some("bodies up to", changed(self.max_body, Self::DEFAULT_MAX_BODY).map(Bytes))
        .some("lease", changed(self.lease, Self::DEFAULT_LEASE).map(Time))
        .some("waiting", changed(self.max_waiting, Self::DEFAULT_MAX_WAITING))
        .some("refreshes", changed(self.max_refreshes, Self::DEFAULT_MAX_REFRESHES));
        if let Some((min, max)) = backoff {
            line.add(format_args!("spared {} to {}", Time(min), Time(max)));
        }
        line.some("seed", self.seed).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_one_line() {
        const MINUTE: Duration = Duration::from_secs(120);
        for (stale, ought) in [
            (Stale::new(), "what answers allow, 1000 entries, 16 MiB"),
            (Stale::new().enabled(false), "off"),
            (
                Stale::new()
                    .if_error(MINUTE)
                    .while_revalidate(MINUTE / 4)
                    .fresh(true)
                    .coalesce(true)
                    .max_entries(1),
                "2 min on failure, 30 s while refreshed, fresh without a call, coalesces, 1 entry, 16 MiB",
            ),
            (
                Stale::new().refresh_backoff(MINUTE, MINUTE).seed(7).on(FallbackOn::TIMEOUTS).max_body(10),
                "what answers allow, on time-outs, 1000 entries, 16 MiB, bodies up to 10 B, spared 2 min to 2 min, seed 7",
            ),
        ] {
            assert_eq!(stale.to_string(), ought);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Stale::new().try_lease(Duration::ZERO).map_err(|e| e.field()), Err("lease"));
        let (long, short) = (Duration::from_secs(2), Duration::from_secs(1));
        let wrong = Stale::new().try_refresh_backoff(long, short);
        assert_eq!(wrong.map_err(|e| e.field()), Err("refresh_backoff"));
    }
}
