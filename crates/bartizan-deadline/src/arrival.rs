use crate::reason::Reason;
use crate::span::Span;
use bartizan_core::Instant;
use std::time::Duration;

/// All that bounds a call when it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) now: Instant,
    /// The layer's own total.
    pub(crate) own: Span,
    /// The deadline of the context.
    pub(crate) context: Option<Instant>,
    /// The time left by the request's header.
    pub(crate) header: Option<Duration>,
    /// The least time that must be left.
    pub(crate) least: Span,
}

impl Arrival {
    /// Returns the earliest deadline, none if no end is in sight, or why the call need not begin.
    #[inline(always)]
    pub(crate) fn judge(&self) -> Result<Option<Instant>, Reason> {
        let Some(deadline) = self.earliest() else { return Ok(None) };
        if deadline <= self.now {
            return Err(Reason::Expired);
        }
        if self.least > Span::ZERO && Span::between(self.now, deadline) < self.least {
            return Err(Reason::TooLittle);
        }
        Ok(Some(deadline))
    }

    /// How much time is left; none once the deadline has passed.
    #[cold]
    pub(crate) fn left(&self) -> Duration {
        self.earliest().map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(self.now))
    }

    #[inline(always)]
    fn earliest(&self) -> Option<Instant> {
        let mut earliest = self.own.after(self.now);
        if let Some(context) = self.context {
            earliest = match earliest {
                Some(own) => Some(own.min(context)),
                // No timer can be set so far ahead.
                None if Span::between(self.now, context) == Span::ENDLESS => None,
                None => Some(context),
            };
        }
        if let Some(header) = self.header.and_then(|left| Span::from(left).after(self.now)) {
            earliest = Some(earliest.map_or(header, |other| other.min(header)));
        }
        earliest
    }

    /// What would bound the call if nobody had sent a deadline along.
    pub(crate) const fn alone(self) -> Self {
        Self { context: None, header: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn check(own: Duration, context: Option<Duration>, header: Option<Duration>, least: Duration) -> String {
        let now = Instant::now();
        let arrival = Arrival {
            now,
            own: own.into(),
            context: context.map(|left| now + left),
            header,
            least: least.into(),
        };
        match arrival.judge() {
            Ok(None) => "never".into(),
            Ok(Some(deadline)) => format!("{:?}", deadline - now),
            Err(reason) => format!("{reason:?}"),
        }
    }

    #[test]
    fn the_earliest_counts() {
        let (s, zero, max) = (1000 * MS, Duration::ZERO, Duration::MAX);
        for (own, context, header, least, ought) in [
            (2 * s, None, None, zero, "2s"),
            (2 * s, None, Some(500 * MS), zero, "500ms"),
            (2 * s, None, Some(10 * s), zero, "2s"),
            (2 * s, Some(300 * MS), Some(500 * MS), zero, "300ms"),
            (2 * s, None, Some(max), zero, "2s"),
            (max, None, None, zero, "never"),
            (max, None, Some(max), zero, "never"),
            (max, None, Some(s), zero, "1s"),
            (zero, None, None, zero, "Expired"),
            (zero, Some(s), Some(s), zero, "Expired"),
            (s, None, Some(zero), zero, "Expired"),
            (s, Some(zero), None, zero, "Expired"),
            (s, None, Some(zero), 10 * MS, "Expired"),
            (s, None, Some(2 * MS), 10 * MS, "TooLittle"),
            (s, None, Some(10 * MS), 10 * MS, "10ms"),
        ] {
            assert_eq!(check(own, context, header, least), ought, "{own:?} {context:?} {header:?} {least:?}");
        }
    }
}
