//! Flags, and why they are wrong. Who calls puts the flag's name before the sentence.

use super::errand::Mix;
use super::profile::Profile;
use http::Uri;
use std::time::Duration;

const LONGEST_MS: u64 = 60 * 60 * 1000;

/// How many steps there may be.
pub(super) const STEPS: usize = 100;

/// The greatest rate, in customers a second.
pub(super) const FASTEST: u32 = 10_000;

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

/// A rate from 1 to the greatest.
fn rate(text: &str) -> Option<u32> {
    text.parse().ok().filter(|rate| (1..=FASTEST).contains(rate))
}

/// Two rates: `50..500`.
pub(super) fn ramp(text: &str) -> Result<Profile, String> {
    let rates = text.split_once("..").and_then(|(from, to)| Some((rate(from)?, rate(to)?)));
    let bad = || format!("write two whole numbers from 1 to {FASTEST}, like 50..500");
    rates.map(|(from, to)| Profile::Ramp(from, to)).ok_or_else(bad)
}

/// Rates one after another: `50,100,200`.
pub(super) fn steps(text: &str) -> Result<Profile, String> {
    let rates: Option<Vec<_>> = text.split(',').map(rate).collect();
    let bad = || format!("write 2 to {STEPS} whole numbers from 1 to {FASTEST}, like 50,100,200");
    rates.filter(|rates| (2..=STEPS).contains(&rates.len())).map(Profile::Steps).ok_or_else(bad)
}

/// Parts of a whole: `browse=70,order=20,account=10`. What is left out does not come.
pub(super) fn mix(text: &str) -> Result<Mix, String> {
    let mut parts = [None; 3];
    for part in text.split(',') {
        let (name, weight) = part.split_once('=').unwrap_or((part, ""));
        let known = ["browse", "order", "account"].iter().position(|known| *known == name);
        let weight = weight.parse::<u32>().ok().filter(|weight| *weight <= 1000);
        let bad = || "write browse, order and account with whole numbers from 0 to 1000, like browse=70,order=20,account=10";
        let (Some(known), Some(weight)) = (known, weight) else { return Err(bad().into()) };
        if parts[known].replace(f64::from(weight)).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    let [browse, order, account] = parts.map(Option::unwrap_or_default);
    let some = browse + order + account > 0.0;
    some.then(|| Mix::parts(browse, order, account)).ok_or_else(|| "somebody must come".into())
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
    fn a_ramp_has_two_rates_and_steps_have_more() {
        assert_eq!(ramp("50..500"), Ok(Profile::Ramp(50, 500)));
        assert_eq!(ramp("500..1"), Ok(Profile::Ramp(500, 1)));
        for text in ["", "50", "50..", "..50", "0..50", "50..10001", "50...60", "50..60..70", "a..b", "-1..5"]
        {
            assert!(ramp(text).is_err_and(|why| why.contains("like 50..500")), "{text:?}");
        }
        assert_eq!(steps("50,100,200"), Ok(Profile::Steps(vec![50, 100, 200])));
        let many = vec!["1"; STEPS + 1].join(",");
        for text in ["", "50", "50,", "50,0", "50,10001", "50 100", many.as_str()] {
            assert!(steps(text).is_err_and(|why| why.contains("like 50,100,200")), "{text:?}");
        }
    }

    #[test]
    fn a_mix_has_parts_of_three_names() {
        assert_eq!(mix("browse=70,order=20,account=10"), Ok(Mix::parts(70.0, 20.0, 10.0)));
        assert_eq!(mix("order=1"), Ok(Mix::parts(0.0, 1.0, 0.0)));
        for text in [
            "",
            "browse",
            "browse=",
            "browse=x",
            "browse=-1",
            "browse=0.5",
            "browse=1001",
            "tea=1",
            "order=1,",
        ] {
            assert!(mix(text).is_err_and(|why| why.contains("like browse=70")), "{text:?}");
        }
        assert!(mix("order=1,order=2").is_err_and(|why| why.contains("order is there twice")));
        assert!(mix("browse=0,order=0").is_err_and(|why| why.contains("somebody must come")));
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
