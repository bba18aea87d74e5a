//! Conditions of requests (RFC 9110 §13, RFC 9111 §4.3).

use super::age::date;
use super::fields::copy_value;
use bartizan_http::http::HeaderMap;
use bartizan_http::http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};

/// Whether a request has a condition of its own.
pub(crate) fn has_condition(request: &HeaderMap) -> bool {
    request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE)
}

/// Asks for an answer only if it is another than the one that is kept, whose fields these are. False if that has nothing to ask by.
pub(crate) fn ask(request: &mut HeaderMap, kept: &HeaderMap) -> bool {
    let (tag, modified) = (kept.get(ETAG), kept.get(LAST_MODIFIED));
    if let Some(tag) = tag {
        request.insert(IF_NONE_MATCH, copy_value(tag));
    }
    if let Some(modified) = modified {
        request.insert(IF_MODIFIED_SINCE, copy_value(modified));
    }
    tag.is_some() || modified.is_some()
}

/// Whether a 304 speaks of the answer that is kept (§4.3.4).
pub(crate) fn is_about(kept: &HeaderMap, not_modified: &HeaderMap) -> bool {
    not_modified.get(ETAG).is_none_or(|tag| {
        kept.get(ETAG).is_some_and(|kept| opaque(kept.as_bytes()) == opaque(tag.as_bytes()))
    })
}

/// Whether the caller has the answer that is kept already (§4.3.2).
pub(crate) fn is_met(request: &HeaderMap, kept: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let Some(tag) = kept.get(ETAG) else { return false };
        let tag = opaque(tag.as_bytes());
        return request.get_all(IF_NONE_MATCH).iter().any(|value| names(value.as_bytes(), tag));
    }
    let since = date(request, &IF_MODIFIED_SINCE);
    since.zip(date(kept, &LAST_MODIFIED)).is_some_and(|(since, modified)| modified <= since)
}

/// A tag without what makes it a weak one (RFC 9110 §8.8.3.2).
fn opaque(tag: &[u8]) -> &[u8] {
    let tag = tag.trim_ascii();
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// Whether a list has the tag, or is `*`. A comma can be within a tag.
fn names(list: &[u8], tag: &[u8]) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        let Some(end) =
            rest.strip_prefix(b"\"").and_then(|within| within.iter().position(|byte| *byte == b'"'))
        else {
            return false;
        };
        let (one, after) = rest.split_at(end + 2);
        if one == tag {
            return true;
        }
        let Some(after) = after.trim_ascii_start().strip_prefix(b",") else { return false };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_http::http::{HeaderName, HeaderValue};

    fn map(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn who_has_the_answer_is_told_so() {
        for (request, tag, ought) in [
            ("\"a\"", "\"a\"", true),
            ("W/\"a\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("\"b\", \"a\"", "\"a\"", true),
            ("\"b,\", W/\"a\" ", "\"a\"", true),
            ("*", "\"a\"", true),
            ("\"b\"", "\"a\"", false),
            ("a", "\"a\"", false),
            ("\"a", "\"a\"", false),
            ("", "\"a\"", false),
            ("\"b\" \"a\"", "\"a\"", false),
        ] {
            assert_eq!(
                is_met(&map(&[(IF_NONE_MATCH, request)]), &map(&[(ETAG, tag)])),
                ought,
                "{request} {tag}"
            );
        }
        assert!(!is_met(&map(&[(IF_NONE_MATCH, "*")]), &map(&[])));
        let kept = map(&[(LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT")]);
        for (since, ought) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("Sun, 06 Nov 1994 08:49:38 GMT", true),
            ("Sun, 06 Nov 1994 08:49:36 GMT", false),
            ("soon", false),
        ] {
            assert_eq!(is_met(&map(&[(IF_MODIFIED_SINCE, since)]), &kept), ought, "{since}");
        }
        let both = map(&[(IF_NONE_MATCH, "\"b\""), (IF_MODIFIED_SINCE, "Sun, 06 Nov 2094 08:49:37 GMT")]);
        assert!(!is_met(&both, &kept), "a date is not looked at beside a tag");
    }

    #[test]
    fn asks_by_what_there_is() {
        let mut request = map(&[]);
        assert!(!ask(&mut request, &map(&[])));
        assert!(ask(&mut request, &map(&[(ETAG, "\"a\"")])));
        assert!(has_condition(&request));
        assert_eq!(request, map(&[(IF_NONE_MATCH, "\"a\"")]));
        let kept = map(&[(ETAG, "\"a\"")]);
        for (tag, ought) in [(&[][..], true), (&[(ETAG, "\"a\"")], true), (&[(ETAG, "\"b\"")], false)] {
            assert_eq!(is_about(&kept, &map(tag)), ought);
        }
    }
}
