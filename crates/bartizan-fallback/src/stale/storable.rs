//! Which answers may be kept for everybody (RFC 9111 §3).

use super::directives::{Asked, Said};
use super::fields::lists;
use bartizan_http::http::header::{
    AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, COOKIE, EXPIRES, IF_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    RANGE, SET_COOKIE, TRAILER, UPGRADE, VARY,
};
use bartizan_http::http::{HeaderMap, Method, StatusCode};
use bartizan_http::is_grpc;

/// Whether a request is one whose answer could be kept, or be served from what is kept. Its body is empty, which the caller has seen to.
pub(crate) fn is_read(method: &Method, headers: &HeaderMap) -> bool {
    (method == Method::GET || method == Method::HEAD)
        && (headers.is_empty()
            || ![RANGE, IF_MATCH, IF_UNMODIFIED_SINCE, IF_RANGE, UPGRADE]
                .iter()
                .any(|name| headers.contains_key(name))
                && !is_grpc(headers))
}

/// Whether an answer may be kept by a cache that serves all callers. That it is no failure is asked elsewhere.
pub(crate) fn is_storable(
    asked: &Asked,
    request: &HeaderMap,
    status: StatusCode,
    answer: &HeaderMap,
) -> bool {
    !asked.no_store && is_for_everybody(request, answer) && may_be_kept(status, answer)
}

/// Whether an answer may be kept, by what it says itself.
pub(crate) fn may_be_kept(status: StatusCode, answer: &HeaderMap) -> bool {
    let said = Said::of(answer);
    let explicit = said.public || said.lifetime().is_some() || answer.contains_key(EXPIRES);
    !said.no_store
        && !said.private
        // It could not be served without asking, stale least of all.
        && !said.no_cache
        && is_final(status)
        && (is_cacheable_by_default(status) || explicit)
        && ![SET_COOKIE, CONTENT_RANGE, TRAILER].iter().any(|name| answer.contains_key(name))
        && !is_grpc(answer)
        && !is_events(answer)
}

/// Whether a request says who its caller is.
pub(crate) fn is_signed(request: &HeaderMap) -> bool {
    request.contains_key(AUTHORIZATION) || request.contains_key(COOKIE)
}

/// Whether an answer is one to other callers as well. With `Authorization` it has to say so in the words of §3.5. With `Cookie` it has to
/// say anything that makes it of use, or that it varies on it: a service that says nothing may not have thought of caches.
pub(crate) fn is_for_everybody(request: &HeaderMap, answer: &HeaderMap) -> bool {
    if !is_signed(request) {
        return true;
    }
    let said = Said::of(answer);
    (said.for_all || !request.contains_key(AUTHORIZATION))
        && (said.is_of_use() || !request.contains_key(COOKIE) || lists(answer, &VARY, &COOKIE))
}

/// A part of an answer is none, and a 304 stands for another one.
fn is_final(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::PARTIAL_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// RFC 9110 §15.1.
fn is_cacheable_by_default(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// A stream of events has no end.
fn is_events(answer: &HeaderMap) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    answer.get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_http::http::{HeaderName, HeaderValue};

    fn headers(fields: &str) -> HeaderMap {
        let field = |field: &str| {
            let (name, value) = field.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        fields.split('|').filter(|field| !field.is_empty()).map(field).collect()
    }

    #[test]
    fn what_may_be_kept() {
        for (request, status, answer, ought) in [
            ("", 200, "", true),
            ("", 200, "cache-control: max-age=1", true),
            ("", 200, "cache-control: no-store", false),
            ("", 200, "cache-control: no-store, must-understand", false),
            ("", 200, "cache-control: max-age=1|cache-control: no-store", false),
            ("", 200, "cache-control: no-cache", false),
            ("", 200, "cache-control: private, max-age=1", false),
            ("", 200, "cache-control: private=\"x\"", false),
            ("", 200, "cache-control: max-age=9, x=\"", false),
            ("", 200, "cache-control: must-revalidate, max-age=9", true),
            ("cache-control: no-store", 200, "", false),
            ("cache-control: no-cache", 200, "", true),
            ("authorization: x", 200, "", false),
            ("authorization: x", 200, "cache-control: max-age=9", false),
            ("authorization: x", 200, "cache-control: proxy-revalidate, max-age=9", false),
            ("authorization: x", 200, "cache-control: public", true),
            ("authorization: x", 200, "cache-control: s-maxage=9", true),
            ("authorization: x", 200, "cache-control: must-revalidate, max-age=9", true),
            ("authorization: x", 200, "cache-control: public, private", false),
            ("cookie: x", 200, "", false),
            ("cookie: x", 200, "expires: 0", false),
            ("cookie: x", 200, "vary: cookie", true),
            ("cookie: x", 200, "cache-control: max-age=0", false),
            ("cookie: x", 200, "cache-control: max-age=9", true),
            ("cookie: x", 200, "cache-control: public", true),
            ("cookie: x|authorization: x", 200, "cache-control: max-age=9", false),
            ("", 200, "set-cookie: a=b|cache-control: public, max-age=9", false),
            ("", 200, "content-range: bytes 0-1/2", false),
            ("", 200, "trailer: x-sum", false),
            ("", 200, "content-type: application/grpc", false),
            ("", 200, "content-type: application/grpc-web", true),
            ("", 200, "content-type: Text/Event-Stream;charset=utf-8", false),
            ("", 206, "cache-control: max-age=9", false),
            ("", 304, "cache-control: max-age=9", false),
            ("", 101, "cache-control: max-age=9", false),
            ("", 302, "", false),
            ("", 302, "cache-control: max-age=9", true),
            ("", 302, "cache-control: public", true),
            ("", 302, "expires: 0", true),
            ("", 403, "", false),
            ("", 404, "", true),
            ("", 410, "", true),
        ] {
            let (request, answer) = (headers(request), headers(answer));
            let status = StatusCode::from_u16(status).unwrap();
            let is = is_storable(&Asked::of(&request), &request, status, &answer);
            assert_eq!(is, ought, "{request:?} {status} {answer:?}");
        }
    }

    #[test]
    fn which_requests_are_reads() {
        for (method, fields, ought) in [
            (Method::GET, "", true),
            (Method::HEAD, "accept: x", true),
            (Method::OPTIONS, "", false),
            (Method::POST, "", false),
            (Method::GET, "range: bytes=0-1", false),
            (Method::GET, "if-match: *", false),
            (Method::GET, "if-none-match: *", true),
            (Method::GET, "upgrade: websocket", false),
            (Method::GET, "content-type: application/grpc+proto", false),
        ] {
            assert_eq!(is_read(&method, &headers(fields)), ought, "{method} {fields}");
        }
    }
}
