use super::{Probe, Probing};
use crate::error::BoxError;
use crate::exchange::{Client, Limits, Payload};
use bartizan_core::{Health, Invalid};
use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body;
use std::sync::{Arc, Once};
use tower_service::Service;

/// A probe that sends a `GET`, over a connection of its own for each heartbeat.
///
/// A status from 200 to 399 is up; 503 with a header `x-endpoint-draining` is draining; anything else, or nothing, is down. Only the
/// head of the answer is waited for, and redirects are not followed.
///
/// Without a [`client`](Self::client) it speaks HTTP/1.1 without TLS: members of `https` are then not asked, and stay unknown.
#[derive(Clone, Debug)]
pub struct Http {
    path: PathAndQuery,
    headers: HeaderMap,
    client: Client,
    warned: Arc<Once>,
}

/// The header by which an endpoint says that it wants no new calls.
const DRAINING: &str = "x-endpoint-draining";

impl Http {
    const INVALID: Invalid = Invalid::new("path", "path must be one of a uri, and begin with a slash");

    /// Creates a probe of a path, such as `/healthz`. It takes the place of the member's own.
    ///
    /// # Panics
    ///
    /// If it is no path of a `Uri`, or does not begin with a slash.
    #[must_use]
    #[track_caller]
    pub fn path(path: &str) -> Self {
        match Self::try_path(path) {
            Ok(http) => http,
            Err(invalid) => panic!("{invalid}"),
        }
    }

    /// As [`path`](Self::path), for a path out of a file.
    ///
    /// # Errors
    ///
    /// If it is no path of a `Uri`, or does not begin with a slash.
    pub fn try_path(path: &str) -> Result<Self, Invalid> {
        let parsed = path.parse().ok().filter(|_| path.starts_with('/'));
        let path = parsed.ok_or(Self::INVALID)?;
        Ok(Self { path, headers: HeaderMap::new(), client: Client::default(), warned: Arc::new(Once::new()) })
    }

    /// Adds a header to the request, a `host` that members expect, say. Default: none but `host`, which is the member's authority.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets the client to send by: a tower service, cloned for each heartbeat. Default: a connection for each.
    #[must_use]
    pub fn client<S, B>(mut self, client: S) -> Self
    where
        S: Service<Request<Payload>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.client = Client::new(client);
        self
    }

    fn request(&self, member: Uri) -> Result<Request<Payload>, http::Error> {
        let mut parts = member.into_parts();
        parts.path_and_query = Some(self.path.clone());
        let mut request = Request::new(Payload::from(Bytes::new()));
        *request.uri_mut() = Uri::from_parts(parts)?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

impl Probe for Http {
    fn probe(&self, member: Uri) -> Probing {
        if member.scheme() == Some(&Scheme::HTTPS) && !self.client.is_given() {
            self.warned.call_once(
                || tracing::warn!(%member, "HTTP heartbeats speak no TLS without a client of yours"),
            );
            return Box::pin(async { Ok(Health::Unknown) });
        }
        let (request, client) = (self.request(member), self.client.clone());
        Box::pin(async move {
            let answer = client.exchange(request?, Limits::HEAD).await?;
            judge(answer.status(), answer.headers())
        })
    }
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Result<Health, BoxError> {
    match status.as_u16() {
        200..=399 => Ok(Health::Up),
        503 if headers.contains_key(DRAINING) => Ok(Health::Draining),
        _ => Err(format!("answered {status}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_judged() {
        let judged = |status, draining: bool| {
            let headers =
                draining.then(|| (HeaderName::from_static(DRAINING), HeaderValue::from_static("1")));
            let headers: HeaderMap = headers.into_iter().collect();
            judge(StatusCode::from_u16(status).unwrap(), &headers).unwrap_or(Health::Down)
        };
        for (status, expected) in
            [(101, Health::Down), (200, Health::Up), (399, Health::Up), (400, Health::Down)]
        {
            assert_eq!(judged(status, false), expected, "{status}");
        }
        assert_eq!([judged(503, false), judged(503, true)], [Health::Down, Health::Draining]);
        assert_eq!([judged(500, true), judged(200, true)], [Health::Down, Health::Up]);
    }

    #[test]
    fn the_path_takes_the_place_of_the_members() {
        let probe =
            Http::path("/healthz?deep=1").header(http::header::HOST, HeaderValue::from_static("shop"));
        let request = probe.request(Uri::from_static("http://10.0.0.1:80/base")).unwrap();
        assert_eq!(request.uri(), "http://10.0.0.1:80/healthz?deep=1");
        assert_eq!(request.headers()["host"], "shop");
        assert!(Http::try_path("healthz").is_err());
        assert!(Http::try_path("/a b").is_err());
    }
}
