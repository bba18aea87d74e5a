use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// A no, as RFC 9457 has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// Whole sentences, with nothing in them that has to be escaped in JSON.
    pub(crate) detail: &'static str,
    pub(crate) retry_after: Option<u64>,
}

impl Problem {
    pub(crate) const fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail, retry_after: None }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (title, status) = (self.status.canonical_reason().unwrap_or_default(), self.status.as_u16());
        let body = format!(r#"{{"title":"{title}","status":{status},"detail":"{}"}}"#, self.detail);
        let mut response = (self.status, body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
