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

/// The largest body that is read: 64 KiB.
pub const LIMIT: usize = 64 * 1024;

/// How much of a body over the limit is thrown away before it is refused. A client that has not written all of its
/// body when the connection closes loses the answer with it.
const DRAIN: usize = 8 * 1024 * 1024;

/// Reads a whole body.
///
/// # Errors
///
/// 413 when it is longer than [`LIMIT`], 400 when it breaks off.
pub async fn read(mut body: Body) -> Result<Bytes, Problem> {
    let mut kept = BytesMut::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::new(StatusCode::BAD_REQUEST, "bad-body", "the body broke off");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        seen += data.len();
        if seen <= LIMIT {
            kept.extend_from_slice(&data);
        } else if seen > DRAIN {
            break;
        }
    }
    if seen > LIMIT {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "the body is longer than 64 KiB",
        ));
    }
    Ok(kept.freeze())
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
