use bartizan_core::Instant;
use std::time::Duration;

/// A length of time in one word, in nanoseconds. Past 584 years it is endless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u64);

impl Span {
    pub(crate) const ZERO: Self = Self(0);
    pub(crate) const ENDLESS: Self = Self(u64::MAX);

    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The length as a `Duration`; endless is the longest there is.
    pub(crate) const fn duration(self) -> Duration {
        match self {
            Self::ENDLESS => Duration::MAX,
            Self(nanos) => Duration::from_nanos(nanos),
        }
    }

    /// The instant so long after `start`. `None` if that never comes.
    #[inline]
    pub(crate) fn after(self, start: Instant) -> Option<Instant> {
        match self {
            Self::ENDLESS => None,
            Self(nanos) => start.checked_add(Duration::from_nanos(nanos)),
        }
    }

    /// The length from `start` to `end`, zero if that has passed.
    #[inline]
    pub(crate) fn between(start: Instant, end: Instant) -> Self {
        end.saturating_duration_since(start).into()
    }
}

impl From<Duration> for Span {
    #[inline]
    fn from(duration: Duration) -> Self {
        u64::try_from(duration.as_nanos()).map_or(Self::ENDLESS, Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturates_and_never_wraps() {
        let now = Instant::now();
        assert_eq!(Span::from(Duration::MAX), Span::ENDLESS);
        assert_eq!(Span::ENDLESS.after(now), None);
        assert_eq!(Span::ENDLESS.duration(), Duration::MAX);
        assert_eq!(Span::ENDLESS.plus(Span::from_nanos(1)), Span::ENDLESS);
        assert_eq!(Span::ZERO.after(now), Some(now));
        assert_eq!(Span::between(now + Duration::from_nanos(3), now), Span::ZERO);
        assert_eq!(Span::between(now, now + Duration::from_nanos(3)), Span::from_nanos(3));
    }
}
