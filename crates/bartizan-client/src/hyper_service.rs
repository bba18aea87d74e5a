use crate::{Body, BoxError};
use bytes::Bytes;
use http::{Request, Response, Version};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::sync::Once;
use std::task::{Context, Poll};
use tower_service::Service;

/// hyper-util's pooling client as a service of `http::Request`, whatever its body: axum's and tonic's, `Sync` or not.
///
/// It does what hyper does and no more: no redirects, no proxies, no time-outs. Its errors come out unchanged, and it
/// is always ready. The default connects without TLS and speaks HTTP/1; the client that goes into
/// [`new`](Self::new) may have any connector, and may speak HTTP/2.
///
/// The version of the request is not looked at: a request that came by HTTP/2 goes out over what the client speaks.
#[derive(Clone, Debug)]
pub struct HyperService<C = HttpConnector> {
    client: Client<C, Body>,
}

impl<C> HyperService<C> {
    /// Creates a service of a client, which stays the user's to configure.
    #[must_use]
    pub const fn new(client: Client<C, Body>) -> Self {
        Self { client }
    }

    /// The client.
    #[must_use]
    pub const fn get_ref(&self) -> &Client<C, Body> {
        &self.client
    }

    /// Takes the client out.
    #[must_use]
    pub fn into_inner(self) -> Client<C, Body> {
        self.client
    }
}

impl Default for HyperService {
    fn default() -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build_http();
        Self::new(client)
    }
}

impl<C, B> Service<Request<B>> for HyperService<C>
where
    C: Connect + Clone + Send + Sync + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<hyper::body::Incoming>;
    type Error = Error;
    type Future = ResponseFuture;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> ResponseFuture {
        // So that the layers can look into its errors.
        static KNOWN: Once = Once::new();
        KNOWN.call_once(bartizan_core::recognise::<Error>);
        // The version belongs to the hop that the request came over (RFC 9110 §6.2). hyper takes HTTP/2 as a demand, which a
        // connection of HTTP/1 refuses, and others as unsupported.
        *req.version_mut() = Version::HTTP_11;
        self.client.call(req.map(Body::new))
    }
}
