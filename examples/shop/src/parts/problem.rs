//! Every error a customer sees: `application/problem+json`, RFC 9457.

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use std::fmt;

/// What a problem's `type` begins with; its kind follows.
const TYPE: &str = "urn:shop:problem:";

/// An answer that says no, and why.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    order: Option<String>,
    retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into(), order: None, retry_after: None }
    }

    /// 404
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 422: well-formed, and wrong.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// 401
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 503: worth another try in a second.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(1)
    }

    /// Seconds after which another try is worth it.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The order that this problem has left behind.
    pub fn order(mut self, id: &str) -> Self {
        self.order = Some(id.to_owned());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("{TYPE}{}", self.kind),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(order) = &self.order {
            body["order"] = Value::from(order.as_str());
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(Ok(location)) = self.order.map(|id| HeaderValue::try_from(format!("/orders/{id}"))) {
            headers.insert(LOCATION, location);
        }
        response
    }
}

/// What a handler that panicked is answered with.
pub fn of_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the service fell over this request")
        .into_response()
}

/// The kind of a problem that another service answered with; empty when it is none of ours.
pub fn kind(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    problem["type"].as_str().and_then(|kind| kind.strip_prefix(TYPE)).unwrap_or_default().to_owned()
}

/// Answers unknown paths and wrong methods with problems. Goes on after the last route.
pub fn fallbacks<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.fallback(async || Problem::not_found("nothing is here")).method_not_allowed_fallback(async || {
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "`Allow` names the methods of this path",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_carries_its_kind_and_its_headers() {
        let problem = Problem::unavailable("the till is locked").order("o-1").into_response();
        assert_eq!(problem.status(), 503);
        assert_eq!(problem.headers()["content-type"], "application/problem+json");
        assert_eq!(problem.headers()["retry-after"], "1");
        assert_eq!(problem.headers()["location"], "/orders/o-1");
        let body = axum::body::to_bytes(problem.into_body(), 1024).await.unwrap();
        assert_eq!(kind(&body), "unavailable");
        assert_eq!(kind(b"<html>"), "");
    }
}
