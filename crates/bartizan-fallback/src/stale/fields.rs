//! The header fields of an answer that are kept (RFC 9111 §3.1), and what they weigh.

use bartizan_http::http::header::{
    AGE, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use bartizan_http::http::{HeaderMap, HeaderName, HeaderValue};

const HOPS: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// What describes the body, which a 304 does not have (§3.2).
const OF_BODY: [HeaderName; 4] = [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_TYPE, CONTENT_RANGE];
/// What a field costs beside its text, at least.
const FIELD: usize = 2 * size_of::<(HeaderName, HeaderValue)>();

/// Copies what is kept. It is of one connection no more, and shares no buffer with it: a field of a few bytes could hold many.
pub(crate) fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers.iter().filter(|(name, _)| *name != AGE && !is_of_connection(headers, name)) {
        kept.append(copy_name(name), copy_value(value));
    }
    kept
}

/// Puts the fields of a 304 in place of those that are kept (§3.2).
pub(crate) fn freshen(kept: &mut HeaderMap, by: &HeaderMap) {
    let is_taken = |name: &HeaderName| *name != AGE && !OF_BODY.contains(name) && !is_of_connection(by, name);
    for name in by.keys().filter(|name| is_taken(name)) {
        kept.remove(name);
        for value in by.get_all(name) {
            kept.append(copy_name(name), copy_value(value));
        }
    }
}

/// How many bytes they take, about.
pub(crate) fn weight(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| FIELD + name.as_str().len() + value.len()).sum()
}

pub(crate) fn copy_name(name: &HeaderName) -> HeaderName {
    HeaderName::from_bytes(name.as_str().as_bytes()).unwrap_or_else(|_| name.clone())
}

pub(crate) fn copy_value(value: &HeaderValue) -> HeaderValue {
    let mut copy = HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone());
    copy.set_sensitive(value.is_sensitive());
    copy
}

/// Whether a field is for the next hop alone, of which `Connection` may name more.
fn is_of_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    HOPS.contains(name) || lists(headers, &CONNECTION, name)
}

/// Whether a field that lists names of fields has this one among them.
pub(crate) fn lists(headers: &HeaderMap, list: &HeaderName, name: &HeaderName) -> bool {
    let is_it = |token: &[u8]| token.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes());
    headers.get_all(list).iter().any(|value| value.as_bytes().split(|byte| *byte == b',').any(is_it))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn what_is_of_one_connection_is_not_kept() {
        let all = map(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "timeout=5"),
            ("age", "7"),
            ("etag", "\"a\""),
            ("x-twice", "1"),
            ("x-twice", "2"),
        ]);
        assert_eq!(kept(&all), map(&[("etag", "\"a\""), ("x-twice", "1"), ("x-twice", "2")]));
    }

    #[test]
    fn a_304_changes_all_but_the_body() {
        let mut kept =
            map(&[("etag", "\"a\""), ("content-type", "text/plain"), ("x-twice", "1"), ("x-twice", "2")]);
        let by = [
            ("etag", "\"a\""),
            ("content-type", "x"),
            ("content-length", "0"),
            ("x-twice", "3"),
            ("date", "d"),
        ];
        freshen(&mut kept, &map(&by));
        let ought = [("etag", "\"a\""), ("content-type", "text/plain"), ("x-twice", "3"), ("date", "d")];
        assert_eq!(kept, map(&ought));
    }

    #[test]
    fn all_that_is_kept_weighs() {
        let light = weight(&map(&[("x", "1")]));
        assert!(weight(&map(&[("x", "1"), ("x", "2")])) >= 2 * light);
        let mut heavy = HeaderMap::new();
        heavy.insert("x", HeaderValue::from_bytes(&[b'a'; 5000]).unwrap());
        assert!(weight(&heavy) >= 5000 + light - 1);
    }
}
