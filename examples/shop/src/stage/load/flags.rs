//! Flags, and why they are wrong. Who calls puts the flag's name before the sentence.

use http::Uri;
use std::time::Duration;

const LONGEST_MS: u64 = 60 * 60 * 1000;

/// A whole number and its unit: `500ms`, `30s`, `5m`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "write a whole number and a unit, like 500ms, 30s, 5m or 1h".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => LONGEST_MS,
        _ => return Err(bad()),
    };
    match number.saturating_mul(ms) {
        0 => Err("it must be longer than nothing".into()),
        ms @ 1..=LONGEST_MS => Ok(Duration::from_millis(ms)),
        _ => Err("it must be 1h at most".into()),
    }
}

/// A share of all.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it must be a number from 0 to 1".into())
}

/// A scheme, a host, perhaps a port, and no more; returned without a slash at the end.
pub(super) fn gateway(text: &str) -> Result<String, String> {
    let bad = || "it must be like http://127.0.0.1:8080".to_owned();
    let url: Uri = text.parse().map_err(|_| bad())?;
    // The authority may hold a user and a password as well, or a port that is none.
    let authority = url.authority().ok_or_else(bad)?;
    let plain = match (authority.host(), authority.port_u16()) {
        ("", _) => false,
        (host, Some(port)) => authority.as_str() == format!("{host}:{port}"),
        (host, None) => authority.as_str() == host,
    };
    let whole = url.path_and_query().is_none_or(|path| path.as_str() == "/");
    if !matches!(url.scheme_str(), Some("http" | "https")) || !plain || !whole {
        return Err(bad());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        for (text, ms) in [("1ms", 1), ("3s", 3000), ("5m", 300_000), ("1h", 3_600_000), ("60m", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "3", "s", "banana", "-3s", "3 s", "1.5s", "3d", "3seconds", "99999999999999999999s"]
        {
            assert!(duration(text).is_err_and(|why| why.contains("a whole number and a unit")), "{text:?}");
        }
        assert!(duration("0s").is_err_and(|why| why.contains("longer than nothing")));
        for text in ["61m", "2h", "18446744073709551615h"] {
            assert!(duration(text).is_err_and(|why| why.contains("1h at most")), "{text}");
        }
    }

    #[test]
    fn a_share_is_a_part_of_all() {
        for (text, is) in [("0", 0.0), ("0.1", 0.1), ("1", 1.0)] {
            assert_eq!(share(text), Ok(is));
        }
        for text in ["", "-0.1", "1.1", "NaN", "inf", "10 %"] {
            assert!(share(text).is_err_and(|why| why.contains("0 to 1")), "{text:?}");
        }
    }

    #[test]
    fn a_gateway_is_a_scheme_a_host_and_a_port() {
        assert_eq!(gateway("http://127.0.0.1:8080/").as_deref(), Ok("http://127.0.0.1:8080"));
        assert_eq!(gateway("https://shop.example").as_deref(), Ok("https://shop.example"));
        assert_eq!(gateway("http://shop.example").as_deref(), Ok("http://shop.example"));
        assert_eq!(gateway("http://[::1]:8080").as_deref(), Ok("http://[::1]:8080"));
        for text in [
            "",
            "banana",
            "127.0.0.1:8080",
            "/api",
            "ftp://shop.example",
            "http://",
            "http://:8080",
            "http://ada:secret@shop.example",
            "http://shop.example/api/v1",
            "http://shop.example/?x",
            "http://shop.example:99999999",
            "http://shop.example:",
        ] {
            assert!(gateway(text).is_err(), "{text:?}");
        }
    }
}
