use crate::future::ReqwestFuture;
use crate::{Body, BoxError};
use bytes::Bytes;
use http::{Request, Response, Version};
use std::task::{Context, Poll};
use tower_service::Service;

/// reqwest's client as a service of `http::Request`, whatever its body: axum's and tonic's, `Sync` or not.
///
/// It is as reqwest's own [`execute`](reqwest::Client::execute): proxies, cookies, redirects, decompression and time-outs
/// are those of the client, and its errors come out unchanged. It is always ready.
///
/// - A body that is at hand as a whole can be sent twice, as a redirect by 307 or 308 asks for. Any other is streamed.
/// - Where a redirect was followed, [`Redirected`](crate::Redirected) is in the extensions of the response. A layer sees one request and
///   the last response.
/// - reqwest's errors do not say whether they are about a request to which a redirect led. A retry takes a refused connection for a proof that
///   the request never arrived if the address is that of the request; one by name can only be told by its port. Where a redirect
///   can lead from a host to another one of the same port, and what is sent has no key, set `redirect(Policy::none())`.
/// - The version of the request is not looked at, but for HTTP/3: a request that came by HTTP/2 goes out over what the
///   client speaks.
/// - A typed layer asks for `S::Error: From<Refused>`. `map_err(BoxError::from)` inside of it gives that.
#[derive(Clone, Debug, Default)]
pub struct ReqwestService {
    client: reqwest::Client,
}

impl ReqwestService {
    /// Creates a service of a client, which stays the user's to configure.
    #[must_use]
    pub const fn new(client: reqwest::Client) -> Self {
        Self { client }
    }

    /// The client.
    #[must_use]
    pub const fn get_ref(&self) -> &reqwest::Client {
        &self.client
    }

    /// Takes the client out.
    #[must_use]
    pub fn into_inner(self) -> reqwest::Client {
        self.client
    }
}

impl<B> Service<Request<B>> for ReqwestService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<reqwest::Body>;
    type Error = reqwest::Error;
    type Future = ReqwestFuture;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut req: Request<B>) -> ReqwestFuture {
        // The version belongs to the hop that the request came over (RFC 9110 §6.2). hyper takes HTTP/2 as a demand, which a
        // connection of HTTP/1 refuses; reqwest takes HTTP/3 as one, which is how a request asks for it.
        if req.version() != Version::HTTP_3 {
            *req.version_mut() = Version::HTTP_11;
        }
        let req = req.map(|body| match Body::new(body).into_bytes() {
            Ok(bytes) => reqwest::Body::from(bytes),
            Err(body) => reqwest::Body::wrap(body),
        });
        let uri = req.uri().clone();
        match reqwest::Request::try_from(req) {
            Ok(req) => ReqwestFuture::sent(self.client.call(req), uri),
            Err(error) => ReqwestFuture::failed(error),
        }
    }
}
