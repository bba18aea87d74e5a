//! Another service, as this one sees it.

use super::problem::Problem;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Calls one service through the stack that `stacks.rs` gave it. Clones share the stack.
#[derive(Clone)]
pub struct Peer {
    name: &'static str,
    base: Arc<str>,
    http: reqwest::Client,
}

/// Why there is no answer. It is not known whether the call had an effect.
#[derive(Debug)]
pub struct Lost {
    peer: &'static str,
    late: bool,
}

/// What the service answered, whatever its status.
#[derive(Debug)]
pub struct Answer {
    peer: &'static str,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Peer {
    /// `base` is a URL without a slash at its end.
    pub fn new(name: &'static str, base: &str, http: reqwest::Client) -> Self {
        Self { name, base: base.into(), http }
    }

    pub async fn get(&self, path: &str) -> Result<Answer, Lost> {
        self.send(Method::GET, path, HeaderMap::new(), Bytes::new()).await
    }

    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Answer, Lost> {
        let body = serde_json::to_vec(body).expect("a contract is JSON");
        let json = http::HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)]);
        self.send(Method::PUT, path, headers, body.into()).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Lost> {
        let lost = |error: reqwest::Error| {
            tracing::debug!(peer = self.name, error = &error as &dyn std::error::Error, "no answer");
            Lost { peer: self.name, late: error.is_timeout() }
        };
        let request = self.http.request(method, format!("{}{path}", self.base)).headers(headers).body(body);
        let response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(lost)?;
        Ok(Answer { peer: self.name, status, headers, body })
    }
}

impl Answer {
    /// The body of a good answer.
    ///
    /// # Errors
    ///
    /// 503 when the answer is not good, or of another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if !self.status.is_success() {
            return Err(Problem::unavailable(format!("{} answered {}", self.peer, self.status.as_u16())));
        }
        serde_json::from_slice(&self.body)
            .map_err(|_| Problem::unavailable(format!("{} answered in another language", self.peer)))
    }
}

impl From<Lost> for Problem {
    fn from(lost: Lost) -> Self {
        if lost.late {
            let detail = format!("{} did not answer in time", lost.peer);
            return Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail).retry_after(1);
        }
        Self::unavailable(format!("{} cannot be reached", lost.peer))
    }
}
