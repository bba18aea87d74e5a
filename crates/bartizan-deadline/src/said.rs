use crate::span::Span;
use bartizan_core::{Context, Instant, Priority};
use bartizan_http::{is_grpc_type, wire};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use std::time::Duration;

/// What the headers of a request say of its context. What is malformed is not said, and counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) grpc: bool,
    /// One of our headers is there.
    any: bool,
    pub(crate) timeout: Option<Duration>,
    priority: Option<Priority>,
    attempt: Option<u32>,
    pub(crate) malformed: u64,
}

const OURS: [HeaderName; 4] =
    [wire::GRPC_TIMEOUT, wire::REQUEST_TIMEOUT, wire::REQUEST_PRIORITY, wire::REQUEST_ATTEMPT];

impl Said {
    #[inline]
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if headers.is_empty() { Self::default() } else { Self::read(headers) }
    }

    #[inline(never)]
    fn read(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        // Looking all names over costs less than to hash some of them.
        let mut content_type = None;
        for (name, value) in headers {
            if *name == CONTENT_TYPE {
                content_type.get_or_insert(value);
            } else {
                said.any |= OURS.contains(name);
            }
        }
        said.grpc = content_type.is_some_and(is_grpc_type);
        if said.any {
            said.timeout = said.heed(wire::read_timeout(headers, said.grpc));
            said.priority = said.heed(wire::read_priority(headers));
            said.attempt = said.heed(wire::read_attempt(headers));
        }
        said
    }

    fn heed<T>(&mut self, read: wire::Wire<T>) -> Option<T> {
        self.malformed += u64::from(matches!(read, wire::Wire::Malformed));
        read.value()
    }

    /// Writes the context of an outgoing request, with so much less time than is left, in place of what was said.
    #[inline(never)]
    pub(crate) fn replace(&self, headers: &mut HeaderMap, context: Context, now: Instant, margin: Span) {
        if let Some(left) = context.remaining(now) {
            wire::write_timeout(headers, self.grpc, left.saturating_sub(margin.duration()));
        }
        if self.any || context.attempt() > 0 {
            wire::write_attempt(headers, context.attempt());
        }
        if context.priority() != Priority::NORMAL || self.any && headers.contains_key(wire::REQUEST_PRIORITY)
        {
            wire::write_priority(headers, context.priority());
        }
    }

    /// Joins what was said with the context that the request came with. What is said may lower a priority, and raise it only
    /// if it is trusted.
    #[inline]
    pub(crate) fn join(&self, given: Context, trusted: bool, deadline: Option<Instant>) -> Context {
        let priority = match self.priority {
            Some(said) if trusted => said,
            Some(said) => said.max(given.priority()),
            None => given.priority(),
        };
        let attempt = self.attempt.unwrap_or_default().max(given.attempt());
        let joined = Context::new().with_priority(priority).with_attempt(attempt);
        deadline.map_or(joined, |deadline| joined.with_deadline(deadline))
    }
}

/// The least time that the timeout header can tell.
pub(crate) const fn finest(grpc: bool) -> Span {
    Span::from_nanos(if grpc { 1 } else { 1_000_000 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn said(headers: &[(HeaderName, &'static str)]) -> Said {
        let value = HeaderValue::from_static;
        Said::of(&headers.iter().map(|(name, text)| (name.clone(), value(text))).collect())
    }

    #[test]
    fn malformed_is_absent_and_counted() {
        let odd = said(&[
            (wire::REQUEST_TIMEOUT, "soon"),
            (wire::REQUEST_PRIORITY, "256"),
            (wire::REQUEST_ATTEMPT, "-1"),
        ]);
        assert_eq!((odd.timeout, odd.malformed), (None, 3));
        let context = Context::new().with_priority(Priority::SHEDDABLE).with_attempt(2);
        assert_eq!(odd.join(context, true, None), context);
    }

    #[test]
    fn a_priority_is_only_lowered_unless_trusted() {
        let context = Context::new().with_priority(Priority::new(100));
        let joined = |level, trusted| {
            said(&[(wire::REQUEST_PRIORITY, level)]).join(context, trusted, None).priority().level()
        };
        assert_eq!(joined("200", false), 200);
        assert_eq!(joined("critical", false), 100);
        assert_eq!(joined("critical", true), 0);
        assert_eq!(joined("200", true), 200);
    }
}
