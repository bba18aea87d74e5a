//! How old an answer is, and how long it is fresh (RFC 9111 §4.2).

use super::directives::Said;
use bartizan_core::Instant;
use bartizan_http::http::header::{AGE, DATE, EXPIRES};
use bartizan_http::http::{HeaderMap, HeaderName};
use std::time::Duration;

/// When an answer was asked for and received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) sent: Instant,
    pub(crate) received: Instant,
    /// By the wall's clock, since 1970: dates on the wire are wall time.
    pub(crate) wall: Duration,
}

/// The age of an answer, which grows by a monotonic clock from when it was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    initial: Duration,
    received: Instant,
}

impl Age {
    /// `corrected_initial_age` of §4.2.3.
    pub(crate) fn of(headers: &HeaderMap, times: &Times) -> Self {
        let date = date(headers, &DATE).unwrap_or(times.wall);
        let apparent = times.wall.saturating_sub(date);
        let delay = times.received.saturating_duration_since(times.sent);
        let corrected = age_value(headers).saturating_add(delay);
        Self { initial: apparent.max(corrected), received: times.received }
    }

    /// `current_age` of §4.2.3.
    pub(crate) fn at(&self, now: Instant) -> Duration {
        self.initial.saturating_add(now.saturating_duration_since(self.received))
    }
}

/// How long an answer says that it is fresh, `None` if it does not say: nothing is guessed (§4.2.1).
pub(crate) fn lifetime(said: &Said, headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    said.lifetime().or_else(|| {
        headers.contains_key(EXPIRES).then(|| {
            // An `Expires` that is no date, as the common 0, is past.
            let expires = date(headers, &EXPIRES).unwrap_or_default();
            expires.saturating_sub(date(headers, &DATE).unwrap_or(wall))
        })
    })
}

/// The first member; one that is no number is ignored (§5.1).
fn age_value(headers: &HeaderMap) -> Duration {
    const MOST: u64 = 1 << 31;
    let first = headers.get(AGE).and_then(|value| value.to_str().ok()?.split(',').next());
    let digits =
        first.map(str::trim).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    Duration::from_secs(digits.map_or(0, |digits| digits.parse().unwrap_or(MOST).min(MOST)))
}

/// A date, since 1970.
#[allow(clippy::disallowed_types, reason = "a date on the wire is wall time")]
pub(crate) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Duration> {
    let date = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    date.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()
}

/// The wall's clock. Read once for an answer that is kept, to compare its date with.
#[allow(clippy::disallowed_types, reason = "a date on the wire is wall time; all that follows is monotonic")]
pub(crate) fn wall() -> Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_http::http::{self, HeaderValue};

    const SECOND: Duration = Duration::from_secs(1);
    /// Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110.
    const WALL: Duration = Duration::from_secs(784_111_777);

    fn headers(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn ages() {
        let received = Instant::now() + 100 * SECOND;
        let times = Times { sent: received - 2 * SECOND, received, wall: WALL };
        for (fields, ought) in [
            (&[][..], 2),
            (&[(AGE, "0")], 2),
            (&[(AGE, "10")], 12),
            (&[(AGE, "10, 99")], 12),
            (&[(AGE, "-1")], 2),
            (&[(AGE, "soon")], 2),
            (&[(AGE, "")], 2),
            (&[(AGE, "99999999999999999999999")], (1 << 31) + 2),
            (&[(DATE, "Sun, 06 Nov 1994 08:49:37 GMT")], 2),
            (&[(DATE, "Sun, 06 Nov 1994 08:49:07 GMT")], 30),
            (&[(DATE, "Sunday, 06-Nov-94 08:49:07 GMT")], 30),
            (&[(DATE, "Sun Nov  6 08:49:07 1994")], 30),
            // The clock of the origin is ahead of ours.
            (&[(DATE, "Sun, 06 Nov 2094 08:49:37 GMT")], 2),
            (&[(DATE, "yesterday")], 2),
            (&[(DATE, "Sun, 06 Nov 1994 08:49:07 GMT"), (AGE, "60")], 62),
            (&[(DATE, "Thu, 01 Jan 1970 00:00:00 GMT")], 784_111_777),
        ] {
            let age = Age::of(&headers(fields), &times);
            assert_eq!(age.at(received), ought * SECOND, "{fields:?}");
            assert_eq!(age.at(received + 5 * SECOND), (ought + 5) * SECOND, "{fields:?}");
            assert_eq!(age.at(received - 5 * SECOND), ought * SECOND, "{fields:?}");
        }
    }

    #[test]
    fn lifetimes() {
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        let of = |fields: &[(HeaderName, &'static str)]| {
            let headers = headers(fields);
            lifetime(&Said::of(&headers), &headers, WALL + 10 * SECOND).map(|time| time.as_secs())
        };
        const CONTROL: HeaderName = http::header::CACHE_CONTROL;
        for (fields, ought) in [
            (&[date.clone()][..], None),
            (&[date.clone(), (EXPIRES, "Sun, 06 Nov 1994 08:50:37 GMT")], Some(60)),
            (&[(EXPIRES, "Sun, 06 Nov 1994 08:50:37 GMT")], Some(50)),
            (&[date.clone(), (EXPIRES, "Sun, 06 Nov 1994 08:49:37 GMT")], Some(0)),
            (&[date.clone(), (EXPIRES, "0")], Some(0)),
            (&[date.clone(), (EXPIRES, "-1")], Some(0)),
            (&[date.clone(), (EXPIRES, "Thu, 01 Dec 1994 16:00:00 GMT"), (CONTROL, "max-age=5")], Some(5)),
            (&[(CONTROL, "max-age=5, s-maxage=7")], Some(7)),
            (&[(CONTROL, "max-age=x"), (EXPIRES, "Thu, 01 Dec 2094 16:00:00 GMT")], Some(0)),
        ] {
            assert_eq!(of(fields), ought, "{fields:?}");
        }
    }
}
