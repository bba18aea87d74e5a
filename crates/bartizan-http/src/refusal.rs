use crate::form::Form;
use bartizan_core::{Kind, Refused};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use std::fmt::Write;
use std::time::Duration;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Answers a refusal as a response and leaves the [`Refused`] in its extensions.
///
/// HTTP gets 503, 429 or 504 with `application/problem+json` (RFC 9457) and `Retry-After` in whole seconds, rounded up. gRPC
/// gets a trailers-only response with code 14, 8 or 4 and `grpc-retry-pushback-ms` (gRFC A6), as anything else
/// would reach its client as an `INTERNAL` protocol error. `HEAD` gets the head of what HTTP gets.
#[cold]
#[must_use]
pub fn answer(refused: Refused, form: Form) -> Response<Bytes> {
    let mut response = match form {
        Form::Http => answer_http(&refused),
        Form::Head => answer_http(&refused).map(|_| Bytes::new()),
        Form::Grpc => answer_grpc(&refused),
    };
    response.extensions_mut().insert(refused);
    response
}

/// The trailers that tell a gRPC client of a refusal whose head has been sent already.
#[cold]
#[must_use]
pub fn refused_grpc_trailers(refused: &Refused) -> HeaderMap {
    let code: u16 = match refused.kind() {
        Kind::Unavailable => 14,
        Kind::Exhausted => 8,
        Kind::DeadlineExceeded => 4,
    };
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, code.into());
    trailers.insert(GRPC_MESSAGE, grpc_message(&refused.to_string()));
    if let Some(wait) = refused.retry_after() {
        let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        trailers.insert(GRPC_PUSHBACK, millis.into());
    }
    trailers
}

fn answer_grpc(refused: &Refused) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.headers_mut() = refused_grpc_trailers(refused);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn answer_http(refused: &Refused) -> Response<Bytes> {
    let status = match refused.kind() {
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Exhausted => StatusCode::TOO_MANY_REQUESTS,
        Kind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    };
    let mut response = Response::new(problem(status, refused).into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(wait) = refused.retry_after() {
        headers.insert(RETRY_AFTER, whole_seconds(wait).into());
    }
    response
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

fn problem(status: StatusCode, refused: &Refused) -> String {
    let title = status.canonical_reason().unwrap_or_default();
    let mut json = format!(r#"{{"title":"{title}","status":{},"detail":"#, status.as_u16());
    push_json(&mut json, &refused.to_string());
    json.push_str(r#","layer":"#);
    push_json(&mut json, refused.layer());
    json.push_str(r#","reason":"#);
    push_json(&mut json, refused.reason());
    json.push('}');
    json
}

/// Appends `text` as a JSON string (RFC 8259 §7).
fn push_json(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

/// Encodes a text as the value of `grpc-message` (gRPC over HTTP2, "Percent-Encoded").
#[must_use]
pub fn grpc_message(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    // What is encoded has printable ASCII alone.
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::Reason;

    fn refused(kind: Kind) -> Refused {
        let reason = match kind {
            Kind::Unavailable => const { &Reason::new("breaker", Kind::Unavailable, "open") },
            Kind::Exhausted => const { &Reason::new("breaker", Kind::Exhausted, "open") },
            Kind::DeadlineExceeded => const { &Reason::new("breaker", Kind::DeadlineExceeded, "open") },
        };
        Refused::new(reason).with_retry_after(Duration::from_millis(2_001))
    }

    #[test]
    fn head_gets_the_head_alone() {
        let (told, asked) =
            (answer(refused(Kind::Exhausted), Form::Http), answer(refused(Kind::Exhausted), Form::Head));
        assert_eq!((asked.status(), asked.headers()), (told.status(), told.headers()));
        assert!(asked.body().is_empty() && !told.body().is_empty());
    }

    #[test]
    fn http_gets_status_problem_and_seconds_rounded_up() {
        for (kind, status) in
            [(Kind::Unavailable, 503), (Kind::Exhausted, 429), (Kind::DeadlineExceeded, 504)]
        {
            let response = answer(refused(kind), Form::Http);
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[RETRY_AFTER], "3");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert_eq!(response.extensions().get::<Refused>(), Some(&refused(kind)));
        }
        let body = answer(refused(Kind::Unavailable), Form::Http).into_body();
        let ought = r#"{"title":"Service Unavailable","status":503,"detail":"refused by breaker: open","layer":"breaker","reason":"open"}"#;
        assert_eq!(body, ought);
    }

    #[test]
    fn grpc_gets_trailers_only_with_code_message_and_pushback() {
        for (kind, code) in [(Kind::Unavailable, "14"), (Kind::Exhausted, "8"), (Kind::DeadlineExceeded, "4")]
        {
            let response = answer(refused(kind), Form::Grpc);
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()[GRPC_STATUS], code);
            assert_eq!(response.headers()[GRPC_MESSAGE], "refused by breaker: open");
            assert_eq!(response.headers()[GRPC_PUSHBACK], "2001");
            assert!(response.body().is_empty());
        }
    }

    #[test]
    fn hostile_names_are_escaped() {
        let refused = refused(Kind::Unavailable).with_name(Some("a\"\\\n%é".into()));
        let json =
            String::from_utf8(answer(refused.clone(), Form::Http).into_body().to_vec()).expect("utf-8");
        assert!(json.contains(r#"refused by breaker a\"\\\u000a%é: open"#), "{json}");
        let response = answer(refused, Form::Grpc);
        assert_eq!(response.headers()[GRPC_MESSAGE], "refused by breaker a\"\\%0A%25%C3%A9: open");
    }
}
