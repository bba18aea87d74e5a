//! What may be done with an answer that is kept (RFC 9111 §4.2, RFC 5861).

use super::directives::Asked;
use super::entry::Entry;
use super::value::Stale;
use bartizan_core::Instant;
use std::time::Duration;

impl Entry {
    /// Whether the caller would take it at this age.
    pub(crate) fn is_young_enough(&self, asked: &Asked, now: Instant) -> bool {
        !asked.no_cache && asked.max_age.is_none_or(|most| self.age.at(now) <= most)
    }

    /// Whether it is fresh, and as fresh as the caller wants it.
    pub(crate) fn is_fresh(&self, asked: &Asked, now: Instant) -> bool {
        let left = self.lifetime.saturating_sub(self.age.at(now));
        !left.is_zero() && left >= asked.min_fresh.unwrap_or_default() && self.is_young_enough(asked, now)
    }

    /// Whether it may take the place of a failure.
    pub(crate) fn may_replace(&self, value: &Stale, asked: &Asked, now: Instant) -> bool {
        let limit = narrowed(value.if_error, self.said.if_error);
        self.is_within(narrowed(limit, limit.and(asked.if_error)), asked, now)
    }

    /// Whether it may be served without a call: while it is fresh if told so, else while a refresh goes on.
    pub(crate) fn may_be_served(&self, value: &Stale, asked: &Asked, now: Instant) -> bool {
        let limit = narrowed(value.while_revalidate, self.said.while_revalidate);
        if limit.is_some_and(|limit| !limit.is_zero()) {
            return self.is_within(limit, asked, now);
        }
        value.fresh && self.is_fresh(asked, now)
    }

    /// Whether it is fresh, or stale for less than the limit and may be served so.
    fn is_within(&self, limit: Option<Duration>, asked: &Asked, now: Instant) -> bool {
        if self.is_fresh(asked, now) {
            return true;
        }
        let stale_for = self.age.at(now).saturating_sub(self.lifetime);
        let limit = narrowed(limit, limit.and(asked.max_stale));
        !self.said.never_stale
            && asked.min_fresh.is_none()
            && self.is_young_enough(asked, now)
            && limit.is_some_and(|limit| stale_for < limit)
    }
}

/// The lesser, if there are two.
fn narrowed(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::age::Times;
    use super::super::entry::Kept;
    use super::*;
    use bartizan_http::bytes::Bytes;
    use bartizan_http::http::header::CACHE_CONTROL;
    use bartizan_http::http::{HeaderMap, HeaderValue, Response};

    const SECOND: Duration = Duration::from_secs(1);

    /// For which seconds of its age an answer is fresh, replaces a failure, and is served without a call.
    fn spans(value: &Stale, answer: &str, request: &str) -> [Option<u32>; 3] {
        let now = Instant::now();
        let mut head = Response::new(()).into_parts().0;
        head.headers.insert(CACHE_CONTROL, HeaderValue::from_str(answer).unwrap());
        let times = Times { sent: now, received: now, wall: SECOND };
        let entry = Kept::new(&head, &HeaderMap::new(), &times).unwrap().with(Bytes::new());
        let request = [(CACHE_CONTROL, HeaderValue::from_str(request).unwrap())].into_iter().collect();
        let asked = Asked::of(&request);
        let span = |holds: &dyn Fn(Instant) -> bool| {
            let held: Vec<u32> = (0..200).filter(|age| holds(now + *age * SECOND)).collect();
            assert!(
                held.iter().enumerate().all(|(at, age)| at as u32 == *age),
                "{answer} {request:?}: {held:?}"
            );
            held.last().copied()
        };
        [
            span(&|now| entry.is_fresh(&asked, now)),
            span(&|now| entry.may_replace(value, &asked, now)),
            span(&|now| entry.may_be_served(value, &asked, now)),
        ]
    }

    #[test]
    fn each_limit_and_each_word_counts() {
        let plain = Stale::new();
        let minute = Stale::new().if_error(60 * SECOND);
        let soon = Stale::new().while_revalidate(30 * SECOND);
        let cache = Stale::new().fresh(true);
        let none = None;
        for (value, answer, request, ought) in [
            (&plain, "", "", [none, none, none]),
            (&plain, "max-age=10", "", [Some(9), Some(9), none]),
            (&plain, "max-age=10, stale-if-error=5", "", [Some(9), Some(14), none]),
            (&plain, "max-age=10, stale-while-revalidate=5", "", [Some(9), Some(9), Some(14)]),
            // The limit is reached at its last second.
            (&minute, "", "", [none, Some(59), none]),
            (&minute, "max-age=10", "", [Some(9), Some(69), none]),
            (&minute, "stale-if-error=5", "", [none, Some(4), none]),
            (&minute, "stale-if-error=500", "", [none, Some(59), none]),
            (&minute, "stale-if-error=x", "", [none, none, none]),
            (&minute, "max-age=10, must-revalidate", "", [Some(9), Some(9), none]),
            (&minute, "max-age=10, proxy-revalidate", "", [Some(9), Some(9), none]),
            (&minute, "s-maxage=10, stale-if-error=50", "", [Some(9), Some(9), none]),
            (&soon, "", "", [none, none, Some(29)]),
            (&soon, "max-age=10", "", [Some(9), Some(9), Some(39)]),
            (&soon, "max-age=10, stale-while-revalidate=0", "", [Some(9), Some(9), none]),
            (&soon, "max-age=10, must-revalidate", "", [Some(9), Some(9), Some(9)]),
            (&cache, "max-age=10", "", [Some(9), Some(9), Some(9)]),
            (&cache, "", "", [none, none, none]),
            // A request narrows, and widens nothing.
            (&minute, "max-age=10", "no-cache", [none, none, none]),
            (&minute, "max-age=10", "max-age=3", [Some(3), Some(3), none]),
            (&minute, "max-age=10", "min-fresh=4", [Some(6), Some(6), none]),
            (&minute, "max-age=10", "max-stale=20", [Some(9), Some(29), none]),
            (&minute, "max-age=10", "max-stale=2000", [Some(9), Some(69), none]),
            (&minute, "max-age=10", "stale-if-error=7", [Some(9), Some(16), none]),
            (&plain, "max-age=10", "stale-if-error=7, max-stale=7", [Some(9), Some(9), none]),
            (&soon, "max-age=10", "max-stale=5", [Some(9), Some(9), Some(14)]),
        ] {
            assert_eq!(spans(value, answer, request), ought, "{value} | {answer} | {request}");
        }
    }
}
