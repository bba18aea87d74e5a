//! The header by which a fault chooses its requests goes along with whatever is asked for them.

use http::{HeaderName, HeaderValue, Request};
use std::task::{Context, Poll};
use tokio::task::futures::TaskLocalFuture;
use tokio::task_local;
use tower::{Layer, Service};

/// The header.
pub const SCOPE: HeaderName = HeaderName::from_static("x-shop-fault");

task_local! {
    /// That of the request which is being served.
    static SERVED: Option<HeaderValue>;
}

/// Before handlers: remembers the header of a request while it is served, where faults can be put in.
#[derive(Clone, Copy, Debug)]
pub struct HeedLayer(pub(super) bool);

/// See [`HeedLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Heed<S> {
    inner: S,
    on: bool,
}

/// Before calls: gives the header of who is served to what is asked for them.
#[derive(Clone, Copy, Debug)]
pub struct MarkLayer;

/// See [`MarkLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Mark<S>(S);

impl<S> Layer<S> for HeedLayer {
    type Service = Heed<S>;

    fn layer(&self, inner: S) -> Heed<S> {
        Heed { inner, on: self.0 }
    }
}

impl<S> Layer<S> for MarkLayer {
    type Service = Mark<S>;

    fn layer(&self, inner: S) -> Mark<S> {
        Mark(inner)
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Heed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Option<HeaderValue>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let header = request.headers().get(SCOPE).filter(|_| self.on).cloned();
        // What the inner service does in `call` itself is done for the request as well.
        let served = SERVED.sync_scope(header.clone(), || self.inner.call(request));
        SERVED.scope(header, served)
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Mark<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(header) = SERVED.try_with(Clone::clone).ok().flatten() {
            request.headers_mut().insert(SCOPE, header);
        }
        self.0.call(request)
    }
}
