//! Hands a request on to a service, and its answer back.

use crate::parts::body;
use crate::parts::peer::Peer;
use crate::parts::problem::Problem;
use axum::body::Body;
use axum::response::Response;
use http::header::{
    AGE, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request};

/// Where the API begins, on the outside alone.
const PREFIX: &str = "/api/v1";

/// What goes on to the service.
const ASKED: [HeaderName; 3] = [AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("idempotency-key")];

/// What comes back from it, beside `Location`. `Age` and `Cache-Status` tell of an answer that is an older one.
const ANSWERED: [HeaderName; 7] = [
    AGE,
    ALLOW,
    CACHE_CONTROL,
    HeaderName::from_static("cache-status"),
    CONTENT_TYPE,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
];

/// Sends a request to the same path of a service, without the prefix.
///
/// # Errors
///
/// 413 when the body is too large, 503 and 504 when the service does not answer.
pub(super) async fn relay(peer: &Peer, request: Request<Body>) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let body = body::read(body).await?;
    let headers = pick(&parts.headers, &ASKED);
    let answer = peer.send(parts.method, path.strip_prefix(PREFIX).unwrap_or(path), headers, body).await?;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = pick(&answer.headers, &ANSWERED);
    let location = answer.headers.get(LOCATION).and_then(|inside| inside.to_str().ok());
    let location = location.and_then(|inside| HeaderValue::try_from(format!("{PREFIX}{inside}")).ok());
    if let Some(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// The values of some headers, as many as there are of each.
fn pick(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let values =
        |name| headers.get_all(name).iter().map(move |value| (HeaderName::clone(name), value.clone()));
    names.iter().flat_map(values).fold(HeaderMap::new(), |mut picked, (name, value)| {
        picked.append(name, value);
        picked
    })
}
