use super::body::StaleBody;
use super::future::ResponseFuture;
use super::key::Keys;
use super::read::Read;
use super::shared::Shared;
use super::storable::is_read;
use super::write::Write;
use crate::http_way::is_safe;
use bartizan_http::bytes::Bytes;
use bartizan_http::http::{Request, Response};
use bartizan_http::http_body::Body;
use bartizan_http::is_grpc;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tower::Service;

/// Service that keeps good answers, and serves them in place of calls that fail.
///
/// It is always ready, as it cannot know before the request comes whether the inner service is needed for it. A request that goes out makes a
/// clone of the inner service ready, and calls it; an error of that readiness is a failure of the request.
///
/// While the layer is switched off it is as ready as the inner service, and calls the instance that was made ready.
pub struct StaleService<S> {
    inner: S,
    /// The inner service was made ready, as the layer is switched off.
    is_ready: bool,
    shared: Arc<Shared>,
    keys: Keys,
}

impl<S> StaleService<S> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>, keys: Keys) -> Self {
        Self { inner, is_ready: false, shared, keys }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to be changed.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the inner service out.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone> Clone for StaleService<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.shared.clone(), self.keys.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for StaleService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaleService")
            .field("inner", &self.inner)
            .field("name", &self.shared.name())
            .finish_non_exhaustive()
    }
}

impl<S, B, RB> Service<Request<B>> for StaleService<S>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Error: Send + Sync + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    type Response = Response<StaleBody<RB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.shared.is_enabled() {
            return Poll::Ready(Ok(()));
        }
        self.is_ready = false;
        ready!(self.inner.poll_ready(cx))?;
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, req: Request<B>) -> Self::Future {
        let (is_ready, is_enabled) = (std::mem::take(&mut self.is_ready), self.shared.is_enabled());
        if is_ready && !is_enabled {
            return ResponseFuture::calling(self.inner.call(req));
        }
        let mut service = self.inner.clone();
        if is_ready {
            std::mem::swap(&mut self.inner, &mut service);
        }
        if !is_enabled {
            return ResponseFuture::passing(service, req, None);
        }
        if is_read(req.method(), req.headers()) && req.body().is_end_stream() {
            return match Read::begin(&self.shared, &self.keys, &req) {
                Some(read) => ResponseFuture::reading(service, req, read),
                None => ResponseFuture::passing(service, req, None),
            };
        }
        let outdates = self.shared.was_used() && !is_safe(req.method()) && !is_grpc(req.headers());
        let write = outdates.then(|| Write::new(&self.shared, &self.keys, &req));
        ResponseFuture::passing(service, req, write)
    }
}
