//! Another service, as this one sees it.

use super::problem::Problem;
use bartizan::client::{Error, Response};
use bartizan::retry::Repeatable;
use bartizan::{Client, Kind, Refused};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Calls one service through the stack that `stacks.rs` gave it. Clones share the stack.
#[derive(Clone)]
pub struct Peer {
    name: &'static str,
    client: Client,
}

/// Why there is no answer. Unless a layer refused before the call was sent, it is not known whether it had an effect.
#[derive(Debug)]
pub struct Lost {
    peer: &'static str,
    /// The layer's no, if it was one's.
    refused: Option<Refused>,
}

/// What the service answered, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub(super) peer: &'static str,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Peer {
    /// `client` has the service's address as its base.
    pub fn new(name: &'static str, client: Client) -> Self {
        Self { name, client }
    }

    pub async fn get(&self, path: &str) -> Result<Answer, Lost> {
        self.send(Method::GET, path, HeaderMap::new(), Bytes::new()).await
    }

    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Answer, Lost> {
        let body = serde_json::to_vec(body).expect("a contract is JSON");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        self.send(Method::PUT, path, headers, body.into()).await
    }

    /// The deadline of whoever is being served goes along by itself.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Lost> {
        #[cfg(feature = "planted")]
        return super::planted::send(self, method, path, headers, body).await;
        #[cfg(not(feature = "planted"))]
        self.ask(method, path, headers, body).await
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Lost> {
        let request = self.client.request(method, path).headers(headers).body(body);
        let response = request.send().await.map_err(|error| self.lost(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Response::bytes(response).await.map_err(|error| self.lost(error))?;
        Ok(Answer { peer: self.name, status, headers, body })
    }

    fn lost(&self, error: Error) -> Lost {
        tracing::debug!(peer = self.name, error = &error as &dyn std::error::Error, "no answer");
        let refused = if let Error::Refused(refused) = error { Some(refused) } else { None };
        Lost { peer: self.name, refused }
    }
}

/// A gRPC request that may be sent again: it only reads, or whoever gets it knows it again by its key.
pub fn repeatable<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(Repeatable(true));
    request
}

impl Answer {
    /// What a test has a service say.
    #[cfg(test)]
    pub fn of(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { peer: "test", status, headers: HeaderMap::new(), body: body.into() }
    }

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
    fn from(Lost { peer, refused }: Lost) -> Self {
        match refused {
            Some(refused) if refused.kind() == Kind::DeadlineExceeded => {
                let detail = format!("{peer} did not answer in time");
                Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail).retry_after(1)
            }
            Some(refused) => {
                let wait = refused.retry_after().unwrap_or_default();
                Self::unavailable(format!("{peer} is not asked at the moment: {}", refused.reason()))
                    .retry_after(wait.as_secs() + 1)
            }
            None => Self::unavailable(format!("{peer} cannot be reached")),
        }
    }
}
