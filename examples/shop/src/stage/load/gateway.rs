//! The gateway, as customers see it: no layer of ours stands before it, nobody tries again on its behalf.

use crate::parts::ask::{Lost, ask};
use crate::parts::tls::{Https, Tls};
use bartizan::Client;
use bartizan::client::RequestBuilder;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// How long a customer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// By this the shop knows its own load, and does not limit it by address.
const TOKEN: &str = "x-shop-token";

#[derive(Clone, Debug)]
pub(in crate::stage) struct Gateway {
    http: Client<Https>,
    url: String,
    token: HeaderMap,
}

/// What the gateway answered.
#[derive(Debug)]
pub(in crate::stage) struct Answer {
    pub(in crate::stage) status: StatusCode,
    pub(in crate::stage) headers: HeaderMap,
    pub(in crate::stage) body: Bytes,
}

/// What the gateway is asked.
pub(in crate::stage) type Request = RequestBuilder<Https>;

pub(in crate::stage) type Said = Result<Answer, Lost>;

impl Gateway {
    pub(in crate::stage) fn new(url: String, token: Option<HeaderValue>, tls: &Tls) -> Self {
        let token = token.map(|token| (HeaderName::from_static(TOKEN), token)).into_iter().collect();
        Self { http: Client::new(tls.http()), url, token }
    }

    pub(in crate::stage) fn url(&self) -> &str {
        &self.url
    }

    pub(in crate::stage) fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    pub(in crate::stage) fn post(&self, path: &str, body: &Value) -> Request {
        self.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body.to_string())
    }

    /// Whether who listens there says that it is ready.
    pub(in crate::stage) async fn is_ready(&self) -> bool {
        let request = self.http.request(Method::GET, format!("{}/readyz", self.url));
        send(request).await.is_ok_and(|answer| answer.status.is_success())
    }

    fn request(&self, method: Method, path: &str) -> Request {
        self.http.request(method, format!("{}/api/v1{path}", self.url)).headers(self.token.clone())
    }
}

/// Waits for the whole answer.
pub(in crate::stage) async fn send(request: Request) -> Said {
    let (head, body) = ask(request, PATIENCE).await?.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

impl Answer {
    /// The body; null when it is no JSON.
    pub(in crate::stage) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(in crate::stage) fn is_problem(&self) -> bool {
        self.headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
    }

    /// When another try may be worth it.
    pub(in crate::stage) fn retry_after(&self) -> Option<Duration> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
    }
}
