//! The headers in which a deadline, a priority and an attempt number travel.
//!
//! What is malformed counts as absent, and is told apart so that a layer can count it: it cannot widen anything.

use bartizan_core::Priority;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::RefCell;
use std::time::Duration;

/// Time left to a gRPC call, as a number of up to eight digits and a unit ("PROTOCOL-HTTP2" of gRPC).
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Time left to an HTTP request, in whole milliseconds.
pub const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");
/// Priority of a request: `critical`, `normal`, `sheddable`, or a level from 0 (first) to 255 (last).
pub const REQUEST_PRIORITY: HeaderName = HeaderName::from_static("x-request-priority");
/// Which attempt of a request this is. The first, 0, carries no header.
pub const REQUEST_ATTEMPT: HeaderName = HeaderName::from_static("x-request-attempt");

/// What was found in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire<T> {
    /// No such header.
    Absent,
    /// One that does not follow its grammar, or more than one.
    Malformed,
    /// A value.
    Value(T),
}

impl<T> Wire<T> {
    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Malformed => None,
        }
    }

    /// Reads the only header of a name by a function that returns `None` for what does not follow the grammar.
    pub fn parse(headers: &HeaderMap, name: &HeaderName, parse: impl FnOnce(&[u8]) -> Option<T>) -> Self {
        let mut all = headers.get_all(name).iter();
        let Some(first) = all.next() else { return Self::Absent };
        if all.next().is_some() {
            return Self::Malformed;
        }
        parse(first.as_bytes()).map_or(Self::Malformed, Self::Value)
    }
}

/// Reads the time left to a request: `grpc-timeout` for gRPC, else `x-request-timeout-ms`.
#[inline]
#[must_use]
pub fn read_timeout(headers: &HeaderMap, grpc: bool) -> Wire<Duration> {
    if headers.is_empty() {
        return Wire::Absent;
    }
    if grpc {
        Wire::parse(headers, &GRPC_TIMEOUT, parse_grpc_timeout)
    } else {
        Wire::parse(headers, &REQUEST_TIMEOUT, |value| digits(value, 20).map(Duration::from_millis))
    }
}

/// Writes the time left to a request in the header that [`read_timeout`] reads, in place of what was there. Never rounds up.
pub fn write_timeout(headers: &mut HeaderMap, grpc: bool, left: Duration) {
    if grpc {
        let (number, unit) = grpc_timeout(left);
        headers.insert(GRPC_TIMEOUT, timeout(number, Some(unit)));
    } else {
        let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        headers.insert(REQUEST_TIMEOUT, timeout(millis, None));
    }
}

/// A number with a unit, and how it is written if it was wanted twice.
type Timeout = (u64, Option<u8>, Option<HeaderValue>);

/// As [`decimal`]. What is wanted again and again is kept: attempts that are bound by a time-out of their own are all told the same.
fn timeout(number: u64, unit: Option<u8>) -> HeaderValue {
    thread_local!(static LAST: RefCell<Timeout> = const { RefCell::new((0, None, None)) });
    let known = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        if (last.0, last.1) == (number, unit) {
            return Some(last.2.get_or_insert_with(|| decimal(number, unit)).clone());
        }
        *last = (number, unit, None);
        None
    });
    known.ok().flatten().unwrap_or_else(|| decimal(number, unit))
}

/// Reads the attempt number; absent is the first, 0.
#[must_use]
pub fn read_attempt(headers: &HeaderMap) -> Wire<u32> {
    Wire::parse(headers, &REQUEST_ATTEMPT, |value| digits(value, 10)?.try_into().ok())
}

/// Writes the attempt number in place of what was there; the first, 0, is written by removing the header.
pub fn write_attempt(headers: &mut HeaderMap, attempt: u32) {
    if attempt == 0 {
        headers.remove(REQUEST_ATTEMPT);
    } else {
        headers.insert(REQUEST_ATTEMPT, attempt.into());
    }
}

/// Reads the priority.
#[must_use]
pub fn read_priority(headers: &HeaderMap) -> Wire<Priority> {
    Wire::parse(headers, &REQUEST_PRIORITY, |value| match value {
        b"critical" => Some(Priority::CRITICAL),
        b"normal" => Some(Priority::NORMAL),
        b"sheddable" => Some(Priority::SHEDDABLE),
        level => digits(level, 3)?.try_into().ok().map(Priority::new),
    })
}

/// Writes the priority in place of what was there.
pub fn write_priority(headers: &mut HeaderMap, priority: Priority) {
    headers.insert(REQUEST_PRIORITY, u16::from(priority.level()).into());
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): whole seconds, or a date, of which the time left by the wall clock is taken. `None` where
/// it is absent or malformed, or given twice.
#[must_use]
pub fn read_retry_after(headers: &HeaderMap) -> Option<Duration> {
    let parse = |value: &[u8]| digits(value, 20).map(Duration::from_secs).or_else(|| until_date(value));
    Wire::parse(headers, &RETRY_AFTER, parse).value()
}

/// What a gRPC server says of another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// Nothing.
    Absent,
    /// Not to make one.
    Never,
    /// To make it after this time.
    After(Duration),
}

/// Reads `grpc-retry-pushback-ms` (gRFC A6). What is negative, malformed or given twice is [`Pushback::Never`].
#[must_use]
pub fn read_pushback_hint(headers: &HeaderMap) -> Pushback {
    const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
    match Wire::parse(headers, &PUSHBACK, |value| digits(value, 20).map(Duration::from_millis)) {
        Wire::Absent => Pushback::Absent,
        Wire::Malformed => Pushback::Never,
        Wire::Value(pause) => Pushback::After(pause),
    }
}

/// Reads the pause in `grpc-retry-pushback-ms`. `None` where it is absent, negative or malformed.
#[must_use]
pub fn read_pushback(headers: &HeaderMap) -> Option<Duration> {
    match read_pushback_hint(headers) {
        Pushback::After(pause) => Some(pause),
        Pushback::Absent | Pushback::Never => None,
    }
}

#[allow(
    clippy::disallowed_types,
    reason = "a date on the wire is wall time; nothing but this pause depends on it"
)]
fn until_date(value: &[u8]) -> Option<Duration> {
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    Some(date.duration_since(std::time::SystemTime::now()).unwrap_or_default())
}

/// A decimal number of at most `most` ASCII digits; `None` for anything else. A number past `u64::MAX` is that.
fn digits(value: &[u8], most: usize) -> Option<u64> {
    if value.is_empty() || value.len() > most {
        return None;
    }
    value.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

fn parse_grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (&unit, number) = value.split_last()?;
    let number = digits(number, 8)?;
    Some(match unit {
        b'n' => Duration::from_nanos(number),
        b'u' => Duration::from_micros(number),
        b'm' => Duration::from_millis(number),
        b'S' => Duration::from_secs(number),
        b'M' => Duration::from_secs(number * 60),
        b'H' => Duration::from_secs(number * 3600),
        _ => return None,
    })
}

/// The finest unit in which the time fits into eight digits; what is finer is cut off.
fn grpc_timeout(left: Duration) -> (u64, u8) {
    const MOST: u128 = 99_999_999;
    let nanos = left.as_nanos();
    let fits = UNITS.iter().find(|(_, size)| nanos / size <= MOST);
    let (unit, number) = fits.map_or((b'H', MOST), |&(unit, size)| (unit, nanos / size));
    (number as u64, unit)
}

/// A number, with a unit behind it, in a header's value: one allocation, where `HeaderValue::from(u64)` takes two.
fn decimal(number: u64, unit: Option<u8>) -> HeaderValue {
    let mut text = [0; 21];
    let mut at = text.len();
    let mut put = |byte| {
        at -= 1;
        text[at] = byte;
    };
    unit.into_iter().for_each(&mut put);
    let mut rest = number;
    loop {
        put(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    HeaderValue::from_bytes(&text[at..]).expect("digits and a unit are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &HeaderName, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).expect("a value")))
            .collect()
    }

    #[test]
    fn grpc_timeouts_parse_or_are_malformed() {
        let nanos = |value| read_timeout(&with(&GRPC_TIMEOUT, &[value]), true).value().map(|d| d.as_nanos());
        for (value, ought) in [
            ("1H", 3_600_000_000_000),
            ("2M", 120_000_000_000),
            ("3S", 3_000_000_000),
            ("4m", 4_000_000),
            ("5u", 5_000),
            ("6n", 6),
            ("0m", 0),
            ("99999999H", 359_999_996_400_000_000_000),
        ] {
            assert_eq!(nanos(value), Some(ought), "{value}");
        }
        for value in ["", "m", "-1S", "+1S", "1.5S", "1 S", "123456789m", "1s", "٣S", "1", "1SS"] {
            assert_eq!(read_timeout(&with(&GRPC_TIMEOUT, &[value]), true), Wire::Malformed, "{value:?}");
        }
        assert_eq!(read_timeout(&with(&GRPC_TIMEOUT, &["1S", "1S"]), true), Wire::Malformed);
        assert_eq!(read_timeout(&HeaderMap::new(), true), Wire::Absent);
    }

    #[test]
    fn a_round_trip_never_lasts_longer() {
        let mut dice = 1u64;
        for _ in 0..100_000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let left = Duration::from_nanos(dice >> (dice % 64));
            for grpc in [false, true] {
                let mut headers = HeaderMap::new();
                write_timeout(&mut headers, grpc, left);
                let read = read_timeout(&headers, grpc).value().expect("what is written is read");
                assert!(read <= left, "{left:?} became {read:?}");
                let unit = if grpc { left / 90_000 } else { Duration::from_millis(1) };
                assert!(left - read <= unit.max(Duration::from_nanos(1)), "{left:?} became {read:?}");
            }
        }
        let mut headers = HeaderMap::new();
        write_timeout(&mut headers, true, Duration::MAX);
        assert_eq!(headers[GRPC_TIMEOUT], "99999999H");
        write_timeout(&mut headers, true, Duration::ZERO);
        assert_eq!(headers[GRPC_TIMEOUT], "0n");
    }

    #[test]
    fn attempts_and_priorities_travel() {
        let mut headers = HeaderMap::new();
        assert_eq!(read_attempt(&headers), Wire::Absent);
        write_attempt(&mut headers, 2);
        assert_eq!(read_attempt(&headers), Wire::Value(2));
        write_attempt(&mut headers, 0);
        assert!(headers.is_empty());
        write_priority(&mut headers, Priority::SHEDDABLE);
        assert_eq!(read_priority(&headers), Wire::Value(Priority::SHEDDABLE));
        for (value, ought) in
            [("critical", Some(0)), ("7", Some(7)), ("256", None), ("Critical", None), ("-1", None)]
        {
            let read = read_priority(&with(&REQUEST_PRIORITY, &[value])).value();
            assert_eq!(read, ought.map(Priority::new), "{value}");
        }
    }

    #[test]
    fn retry_after_in_seconds_or_as_a_date() {
        let read = |values: &[&str]| read_retry_after(&with(&RETRY_AFTER, values));
        assert_eq!(read(&["120"]), Some(Duration::from_secs(120)));
        assert_eq!(read(&["Wed, 21 Oct 2015 07:28:00 GMT"]), Some(Duration::ZERO));
        assert!(read(&["Fri, 31 Dec 9999 23:59:59 GMT"]) > Some(Duration::from_secs(1 << 30)));
        for odd in ["-1", "1.5", "soon", ""] {
            assert_eq!(read(&[odd]), None, "{odd:?}");
        }
        assert_eq!(read(&["1", "2"]), None);
    }
    #[test]
    fn pushback_is_a_pause_or_a_no() {
        const NAME: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
        assert_eq!(read_pushback_hint(&HeaderMap::new()), Pushback::Absent);
        for (value, pause) in [("0", 0), ("1500", 1500), ("007", 7)] {
            let read = read_pushback_hint(&with(&NAME, &[value]));
            assert_eq!(read, Pushback::After(Duration::from_millis(pause)), "{value}");
            assert_eq!(read_pushback(&with(&NAME, &[value])), Some(Duration::from_millis(pause)), "{value}");
        }
        for values in [&["-1"][..], &["+1"], &[""], &["soon"], &["1.5"], &[" 1"], &["1", "1"]] {
            assert_eq!(read_pushback_hint(&with(&NAME, values)), Pushback::Never, "{values:?}");
            assert_eq!(read_pushback(&with(&NAME, values)), None, "{values:?}");
        }
    }
}
