//! `Cache-Control` (RFC 9111 §5.2, RFC 5861), of requests and of answers.
//!
//! What cannot be read counts as what allows less: nothing is kept, or served longer, because of nonsense.

use bartizan_http::http::header::{CACHE_CONTROL, PRAGMA};
use bartizan_http::http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// What an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) private: bool,
    pub(crate) public: bool,
    /// It must never be served stale: `must-revalidate`, `proxy-revalidate` or `s-maxage`.
    pub(crate) never_stale: bool,
    /// It may be kept though its request was authorized (§3.5): `public`, `must-revalidate` or `s-maxage`.
    pub(crate) for_all: bool,
    pub(crate) max_age: Option<Duration>,
    pub(crate) shared_max_age: Option<Duration>,
    pub(crate) if_error: Option<Duration>,
    pub(crate) while_revalidate: Option<Duration>,
}

/// What a request asks for. It can narrow what is served, and widen nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<Duration>,
    pub(crate) min_fresh: Option<Duration>,
    pub(crate) max_stale: Option<Duration>,
    pub(crate) if_error: Option<Duration>,
}

impl Said {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        let whole = each(headers, |name, argument| {
            let seconds = || argument.and_then(seconds).unwrap_or_default();
            match name {
                b"no-store" => said.no_store = true,
                b"no-cache" => said.no_cache = true,
                b"private" => said.private = true,
                b"public" => (said.public, said.for_all) = (true, true),
                b"must-revalidate" => (said.never_stale, said.for_all) = (true, true),
                b"proxy-revalidate" => said.never_stale = true,
                b"max-age" => lessen(&mut said.max_age, seconds()),
                b"s-maxage" => {
                    (said.never_stale, said.for_all) = (true, true);
                    lessen(&mut said.shared_max_age, seconds());
                }
                b"stale-if-error" => lessen(&mut said.if_error, seconds()),
                b"stale-while-revalidate" => lessen(&mut said.while_revalidate, seconds()),
                _ => {}
            }
        });
        said.no_store |= !whole;
        said
    }

    /// Whether it says that others may have it, at whatever time.
    pub(crate) fn is_of_use(&self) -> bool {
        let limits = [self.lifetime(), self.if_error, self.while_revalidate];
        self.public || limits.into_iter().flatten().any(|limit| !limit.is_zero())
    }

    /// How long it says that it is fresh.
    pub(crate) fn lifetime(&self) -> Option<Duration> {
        self.shared_max_age.or(self.max_age)
    }
}

impl Asked {
    /// Whether it takes nothing that was there before.
    pub(crate) fn is_for_new(&self) -> bool {
        self.no_cache || self.max_age.is_some_and(|most| most.is_zero())
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut asked = Self::default();
        if !headers.contains_key(CACHE_CONTROL) {
            let pragma = headers.get(PRAGMA).map(HeaderValue::as_bytes);
            asked.no_cache = pragma.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"no-cache"));
            return asked;
        }
        let whole = each(headers, |name, argument| {
            let seconds = || argument.and_then(seconds).unwrap_or_default();
            match name {
                b"no-store" => asked.no_store = true,
                b"no-cache" => asked.no_cache = true,
                b"only-if-cached" => asked.only_if_cached = true,
                b"max-age" => lessen(&mut asked.max_age, seconds()),
                b"min-fresh" => asked.min_fresh = asked.min_fresh.max(argument.and_then(self::seconds)),
                // Without a number it takes any age.
                b"max-stale" if argument.is_some() => lessen(&mut asked.max_stale, seconds()),
                b"stale-if-error" => lessen(&mut asked.if_error, seconds()),
                _ => {}
            }
        });
        asked.no_store |= !whole;
        asked
    }
}

/// Of two different values the lesser counts (§4.2.1).
fn lessen(value: &mut Option<Duration>, by: Duration) {
    *value = Some(value.map_or(by, |value| value.min(by)));
}

/// `delta-seconds` (§1.2.2): digits, of which more than fit are as many as fit.
fn seconds(argument: &[u8]) -> Option<Duration> {
    const MOST: u64 = 1 << 31;
    if argument.is_empty() || !argument.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |sum: u64, digit: &u8| (sum * 10 + u64::from(digit - b'0')).min(MOST);
    Some(Duration::from_secs(argument.iter().fold(0, digit)))
}

/// Shows each directive, its name in lower case. False if there is anything that is none, as with `;` for a comma, or a quoted string that
/// does not end: any directive may have been meant.
fn each(headers: &HeaderMap, mut show: impl FnMut(&[u8], Option<&[u8]>)) -> bool {
    headers.get_all(CACHE_CONTROL).iter().all(|value| each_of(value.as_bytes(), &mut show))
}

fn each_of(mut rest: &[u8], show: &mut impl FnMut(&[u8], Option<&[u8]>)) -> bool {
    let mut whole = true;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'=' | b',')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        whole &= is_token(name.trim_ascii());
        let mut lower = [0; 32];
        let name = lower_case(name, &mut lower);
        rest = match after.split_first() {
            Some((b'=', after)) => {
                let Some((argument, after, is_one)) = argument(after) else {
                    show(name, None);
                    return false;
                };
                show(name, Some(argument));
                whole &= is_one;
                after
            }
            Some((_, after)) => {
                show(name, None);
                after
            }
            None => {
                show(name, None);
                return whole;
            }
        };
    }
}

/// Whether it is one word (RFC 9110 §5.6.2), or none.
fn is_token(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// The first word. One that is too long is none of ours.
fn lower_case<'a>(name: &[u8], lower: &'a mut [u8; 32]) -> &'a [u8] {
    let name = name.trim_ascii();
    let word = name.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let Some(lower) = lower.get_mut(..word.len()) else { return &[] };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    lower
}

/// An argument, a token or a quoted string, what follows behind the next comma, and whether there is nothing else before that.
fn argument(text: &[u8]) -> Option<(&[u8], &[u8], bool)> {
    let text = text.trim_ascii_start();
    let comma = |text: &[u8]| text.iter().position(|byte| *byte == b',');
    let behind = |text: &[u8]| comma(text).map_or(text.len(), |comma| comma + 1);
    let Some((b'"', quoted)) = text.split_first() else {
        let argument = text[..comma(text).unwrap_or(text.len())].trim_ascii_end();
        return Some((argument, &text[behind(text)..], is_token(argument)));
    };
    let mut escaped = false;
    let end = quoted.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let after = &quoted[end + 1..];
    let between = &after[..comma(after).unwrap_or(after.len())];
    Some((&quoted[..end], &after[behind(after)..], between.trim_ascii().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: &[&str]) -> HeaderMap {
        let value = |value: &&str| (CACHE_CONTROL, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        values.iter().map(value).collect()
    }

    fn said(value: &str) -> Said {
        Said::of(&with(&[value]))
    }

    const fn secs(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn answers_as_in_the_papers() {
        let none = Said::default();
        // RFC 5861 §3.1 and §4.1, RFC 9111 §5.2.2 and §3.5.
        for (value, ought) in [
            ("", none),
            ("foo, bar=1, baz=\"x, private\"", none),
            (
                "max-age=600, stale-while-revalidate=30",
                Said { max_age: secs(600), while_revalidate: secs(30), ..none },
            ),
            ("max-age=600, stale-if-error=1200", Said { max_age: secs(600), if_error: secs(1200), ..none }),
            ("private=\"x-a, x-b\", max-age=1", Said { private: true, max_age: secs(1), ..none }),
            ("No-Cache=\"Set-Cookie\"", Said { no_cache: true, ..none }),
            ("NO-STORE", Said { no_store: true, ..none }),
            ("public", Said { public: true, for_all: true, ..none }),
            (" must-revalidate ,,", Said { never_stale: true, for_all: true, ..none }),
            ("proxy-revalidate", Said { never_stale: true, ..none }),
            (
                "s-maxage=\"9\" , max-age=3",
                Said { never_stale: true, for_all: true, shared_max_age: secs(9), max_age: secs(3), ..none },
            ),
        ] {
            assert_eq!(said(value), ought, "{value}");
        }
        assert_eq!(said("s-maxage=9, max-age=3").lifetime(), secs(9));
        assert_eq!(
            Said::of(&with(&["max-age=3", "private"])),
            Said { private: true, max_age: secs(3), ..none }
        );
    }

    #[test]
    fn nonsense_allows_less() {
        for (value, ought) in [
            ("max-age=4294967296", 1 << 31),
            ("max-age=99999999999999999999999999", 1 << 31),
            ("max-age=0", 0),
            ("max-age=-1", 0),
            ("max-age=+1", 0),
            ("max-age=1.5", 0),
            ("max-age=", 0),
            ("max-age", 0),
            ("max-age=soon", 0),
            ("max-age=10, max-age=5", 5),
            ("max-age=5, max-age=10", 5),
            ("max-age=\"5\\\"\"", 0),
        ] {
            assert_eq!(said(value).max_age, secs(ought), "{value}");
        }
        for value in [
            "x=\"a, private",
            "max-age=\"1",
            "x=\"\\\"",
            "private=\"a",
            "max-age=1; private",
            "private; max-age=1",
            "public no-store",
            "max-age=1 private",
            "x=\"a\" private, public",
            "\"no-store\"",
            "max-age=1, {}",
        ] {
            assert!(said(value).no_store, "{value}");
        }
        for value in ["private x", "private =\"\"", "\u{0}private, private", "\tprivate"] {
            let bytes = HeaderValue::from_bytes(value.as_bytes());
            let Ok(bytes) = bytes else { continue };
            assert!(Said::of(&[(CACHE_CONTROL, bytes)].into_iter().collect()).private, "{value}");
        }
        let long = "x".repeat(100_000) + ", private";
        assert!(said(&long).private);
    }

    #[test]
    fn requests() {
        let none = Asked::default();
        for (value, ought) in [
            ("no-cache", Asked { no_cache: true, ..none }),
            ("no-store", Asked { no_store: true, ..none }),
            ("only-if-cached, max-stale", Asked { only_if_cached: true, ..none }),
            ("max-stale=7, min-fresh=2", Asked { max_stale: secs(7), min_fresh: secs(2), ..none }),
            ("min-fresh=2, min-fresh=9, min-fresh=x", Asked { min_fresh: secs(9), ..none }),
            ("max-age=0, stale-if-error=30", Asked { max_age: secs(0), if_error: secs(30), ..none }),
            ("x=\"", Asked { no_store: true, ..none }),
        ] {
            assert_eq!(Asked::of(&with(&[value])), ought, "{value}");
        }
        let pragma = |value| [(PRAGMA, HeaderValue::from_static(value))].into_iter().collect();
        assert!(Asked::of(&pragma("No-Cache")).no_cache);
        assert!(!Asked::of(&pragma("x")).no_cache);
        let mut both: HeaderMap = pragma("no-cache");
        both.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
        assert!(!Asked::of(&both).no_cache);
    }
}
