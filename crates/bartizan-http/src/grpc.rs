use bartizan_core::Verdict;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// Says whether a request or response is gRPC by its `content-type`: `application/grpc`, alone or followed by
/// `+` or `;`. `application/grpc-web` is not gRPC, for its trailers travel in the body.
#[inline]
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    // To look a few names over costs less than to hash one.
    let content_type = if headers.keys_len() <= FEW {
        headers.iter().find_map(|(name, value)| (*name == CONTENT_TYPE).then_some(value))
    } else {
        headers.get(CONTENT_TYPE)
    };
    content_type.is_some_and(is_grpc_type)
}

const FEW: usize = 8;

/// Says whether a `content-type` is that of gRPC, as [`is_grpc`] does.
#[inline]
#[must_use]
pub fn is_grpc_type(content_type: &HeaderValue) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let value = content_type.as_bytes();
    value.starts_with(GRPC) && matches!(value.get(GRPC.len()), None | Some(b'+' | b';'))
}

/// Reads `grpc-status` from the headers of a trailers-only response or from trailers. `None` where there is none;
/// an unreadable one is `UNKNOWN` (2).
#[inline]
#[must_use]
pub fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    let status = headers.get("grpc-status")?;
    Some(status.to_str().ok().and_then(|status| status.parse().ok()).unwrap_or(2))
}

/// Judges a gRPC call by the headers that hold its `grpc-status`.
///
/// `UNKNOWN`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNAVAILABLE` and `DATA_LOSS` are failures, so is a missing status;
/// `RESOURCE_EXHAUSTED` is throttled, with `grpc-retry-pushback-ms` as its pause (gRFC A6); `CANCELLED` is ignored; all
/// others are answers, and count as success.
#[must_use]
pub fn grpc_verdict(headers: &HeaderMap) -> Verdict {
    match grpc_status(headers) {
        Some(1) => Verdict::Ignored,
        Some(8) => Verdict::Throttled(crate::wire::read_pushback(headers)),
        None | Some(2 | 4 | 13..=15) => Verdict::Failure,
        Some(_) => Verdict::Success,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::time::Duration;

    #[test]
    fn told_apart_by_content_type() {
        for (value, ought) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_grpc(&headers), ought, "{value}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn judged_by_status() {
        let mut headers = HeaderMap::new();
        assert_eq!(grpc_verdict(&headers), Verdict::Failure);
        for code in 0..=16u16 {
            headers.insert("grpc-status", code.into());
            let ought = match code {
                1 => Verdict::Ignored,
                2 | 4 | 13 | 14 | 15 => Verdict::Failure,
                8 => Verdict::Throttled(None),
                _ => Verdict::Success,
            };
            assert_eq!(grpc_verdict(&headers), ought, "code {code}");
        }
        headers.insert("grpc-status", HeaderValue::from_static("junk"));
        assert_eq!(grpc_verdict(&headers), Verdict::Failure);
        headers.insert("grpc-status", 8.into());
        headers.insert("grpc-retry-pushback-ms", 70.into());
        assert_eq!(grpc_verdict(&headers), Verdict::Throttled(Some(Duration::from_millis(70))));
    }
}
