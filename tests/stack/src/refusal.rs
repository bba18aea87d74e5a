use crate::soon;
use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http_body::Body;
use http_body_util::BodyExt;
use std::error::Error;
use std::time::Duration;
use tonic::Status;

/// What an HTTP client is told by a layer that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status, of the head and in the problem.
    pub status: u16,
    /// The layer.
    pub layer: String,
    /// Its reason.
    pub reason: String,
    /// `Retry-After`.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// Creates what ought to be told.
    #[must_use]
    pub fn new(status: u16, layer: &str, reason: &str, retry_after: Option<u64>) -> Self {
        Self { status, layer: layer.into(), reason: reason.into(), retry_after }
    }

    /// Reads what is told, which must be a problem in JSON (RFC 9457).
    pub async fn of<B>(response: Response<B>) -> Self
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let (head, body) = response.into_parts();
        assert_eq!(head.headers[CONTENT_TYPE], "application/problem+json", "{head:?}");
        let body = soon(body.collect()).await.map_err(Into::into).unwrap().to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let status = head.status.as_u16();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["title"], head.status.canonical_reason().unwrap());
        let text = |key: &str| problem[key].as_str().unwrap().to_owned();
        let (layer, reason) = (text("layer"), text("reason"));
        assert_eq!(problem["detail"], format!("refused by {layer}: {reason}"));
        let seconds = |value: &http::HeaderValue| value.to_str().unwrap().parse().unwrap();
        Self { status, layer, reason, retry_after: head.headers.get(RETRY_AFTER).map(seconds) }
    }
}

/// After how long a gRPC client is told to try again.
#[must_use]
pub fn pushback(status: &Status) -> Option<Duration> {
    let value = status.metadata().get("grpc-retry-pushback-ms")?;
    Some(Duration::from_millis(value.to_str().unwrap().parse().unwrap()))
}
