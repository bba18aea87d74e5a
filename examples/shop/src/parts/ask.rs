//! Questions that no layer guards: at the start, by commands, by customers who come from outside.

use super::failure::root;
use super::tls::Https;
use bartizan::client::{Error, RequestBuilder};
use bartizan::core::find_cause;
use bytes::Bytes;
use http::Response;
use hyper_util::client::legacy;
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// There was not even a connection.
    Unreachable(String),
    Broken(String),
    TimedOut,
}

/// Asks, and waits so long for the whole answer.
///
/// # Errors
///
/// When there is none, or not all of it; an answer of any status is one.
pub async fn ask(request: RequestBuilder<Https>, patience: Duration) -> Result<Response<Bytes>, Lost> {
    let whole = async {
        let answer = request.send().await?;
        let mut whole = Response::new(Bytes::new());
        *whole.status_mut() = answer.status();
        whole.headers_mut().clone_from(answer.headers());
        *whole.body_mut() = answer.bytes().await?;
        Ok(whole)
    };
    timeout(patience, whole).await.map_err(|_| Lost::TimedOut)?.map_err(|error: Error| {
        match find_cause::<legacy::Error>(&error).is_some_and(legacy::Error::is_connect) {
            true => Lost::Unreachable(root(&error)),
            false => Lost::Broken(root(&error)),
        }
    })
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Broken(why) => f.write_str(why),
            Self::TimedOut => f.write_str("it did not answer in time"),
        }
    }
}
