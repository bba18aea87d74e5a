//! Request bodies: read under a cap, understood or refused with a problem.

use super::problem::Problem;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::timeout;

/// The largest body that is read: 64 KiB.
pub const LIMIT: usize = 64 * 1024;

/// How much of a body over the limit is thrown away before it is refused. A client that has not written all of its
/// body when the connection closes loses the answer with it.
const DRAIN: usize = 8 * 1024 * 1024;

/// How long that may take. Whoever drips it holds a place among those who are served.
const DRAIN_FOR: Duration = Duration::from_secs(1);

/// Reads a whole body.
///
/// # Errors
///
/// 413 when it is longer than [`LIMIT`], 400 when it breaks off.
pub async fn read(mut body: Body) -> Result<Bytes, Problem> {
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::new(StatusCode::BAD_REQUEST, "bad-body", "the body broke off");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if kept.len() + data.len() > LIMIT {
            let _ = timeout(DRAIN_FOR, drain(body, kept.len() + data.len())).await;
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "the body is longer than 64 KiB",
            ));
        }
        kept.extend_from_slice(&data);
    }
    Ok(kept.freeze())
}

/// Throws the rest of a body away of which so much was seen.
async fn drain(mut body: Body, mut seen: usize) {
    while seen <= DRAIN {
        let Some(Ok(frame)) = body.frame().await else { return };
        seen += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// A JSON body, as [`axum::Json`] but for the shape of its refusals.
pub struct Input<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        match Json::from_request(Request::from_parts(parts, Body::from(body)), state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(refused) => Err(problem(&refused)),
        }
    }
}

/// 400 for what is no JSON, 415 for what does not say that it is, 422 for JSON of another shape.
fn problem(refused: &JsonRejection) -> Problem {
    let kind = match refused {
        JsonRejection::JsonSyntaxError(_) => "malformed-json",
        JsonRejection::MissingJsonContentType(_) => "unsupported-media-type",
        _ => "invalid",
    };
    Problem::new(refused.status(), kind, refused.body_text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use http_body::Frame;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// So much, and then nothing, and no end.
    struct Stops(Option<Bytes>);

    impl http_body::Body for Stops {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.take().map_or(Poll::Pending, |data| Poll::Ready(Some(Ok(Frame::data(data)))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_beyond_the_limit_is_refused_all_the_same() {
        let stops = Stops(Some(vec![0; LIMIT + 1].into()));
        let refused = timeout(DRAIN_FOR * 2, read(Body::new(stops))).await.expect("an answer");
        assert_eq!(refused.unwrap_err().into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read(Body::from(vec![0; LIMIT])).await.map_err(drop).unwrap().len(), LIMIT);
    }
}
