//! The gateway, as customers see it: no layer of ours stands before it, nobody tries again on its behalf.

use crate::parts::failure::Failure;
use crate::parts::serve::KEEP;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::RequestBuilder;
use reqwest::redirect::Policy;
use serde_json::Value;
use std::error::Error;
use std::time::Duration;

/// How long a customer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// By this the shop knows its own load, and does not limit it by address.
const TOKEN: &str = "x-shop-token";

#[derive(Clone, Debug)]
pub(super) struct Gateway {
    http: reqwest::Client,
    url: String,
}

/// What the gateway answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// There was not even a connection.
    Unreachable(String),
    Broken(String),
    TimedOut,
}

pub(super) type Said = Result<Answer, Lost>;

impl Gateway {
    /// # Errors
    ///
    /// When no client can be made.
    pub(super) fn new(url: String, token: Option<HeaderValue>) -> Result<Self, Failure> {
        let headers = token.map(|token| (http::HeaderName::from_static(TOKEN), token)).into_iter().collect();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .pool_idle_timeout(KEEP)
            .default_headers(headers)
            .build();
        let http = http.map_err(|why| Failure::new(format!("no HTTP client can be made: {why}.")))?;
        Ok(Self { http, url })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.http.request(Method::GET, format!("{}/api/v1{path}", self.url))
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.http.request(Method::POST, format!("{}/api/v1{path}", self.url));
        request.header(CONTENT_TYPE, "application/json").body(body.to_string())
    }
}

/// Waits for the whole answer.
pub(super) async fn send(request: RequestBuilder) -> Said {
    let whole = async {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    };
    whole.await.map_err(|error: reqwest::Error| match error {
        _ if error.is_timeout() => Lost::TimedOut,
        _ if error.is_connect() => Lost::Unreachable(root(&error)),
        _ => Lost::Broken(root(&error)),
    })
}

/// What is at the bottom of an error; the rest says only that there is one.
fn root(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl Answer {
    /// The body; null when it is no JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn is_problem(&self) -> bool {
        self.headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
    }

    /// When another try may be worth it.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
    }
}
