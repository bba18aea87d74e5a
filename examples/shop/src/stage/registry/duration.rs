//! Durations as Go writes them: `10s`, `1m30s`, `1.5h`, `250ms`.

use std::time::Duration;

/// The largest that Go has a number for.
const LONGEST: u128 = i64::MAX as u128;

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// None for what is no duration, is negative, or has no room in Go's.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut nanos) = (text, 0_u128);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (part, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (name, left) = after.split_at(end);
        let unit = UNITS.iter().find(|(unit, _)| *unit == name)?.1;
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanos = nanos.checked_add(whole.checked_mul(unit)?)?;
        // A digit that makes less than a nanosecond is none.
        let part = part
            .bytes()
            .fold((0, unit), |(sum, unit), digit| (sum + u128::from(digit - b'0') * unit / 10, unit / 10));
        nanos = nanos.checked_add(part.0)?;
        rest = left;
    }
    let nanos = Some(nanos).filter(|nanos| *nanos <= LONGEST)?;
    Some(Duration::from_nanos(nanos as u64))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("10s", 10_000),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("+2s", 2_000),
            ("2000us", 2),
            ("3000µs", 3),
            ("4000000ns", 4),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("0.0000000019s"), Some(Duration::from_nanos(1)));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "+",
            "-1s",
            "1",
            "s",
            ".s",
            "1 s",
            "1S",
            "1d",
            "1s2",
            "soon",
            "9223372036s1s",
            "99999999h",
            "1e3s",
        ] {
            assert_eq!(parse(text).filter(|it| it.as_secs() != 9_223_372_037), None, "{text}");
        }
        let digits = "9".repeat(400);
        assert_eq!(parse(&format!("{digits}s")), None);
        assert_eq!(parse(&format!("0.{digits}s")), Some(Duration::from_nanos(999_999_999)));
    }
}
