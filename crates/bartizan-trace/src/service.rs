use crate::body::TraceBody;
use crate::call::Call;
use crate::future::ResponseFuture;
use crate::layer::Side;
use crate::shared::Shared;
use bartizan_http::http_body::Body;
use bartizan_http::{Http, Typed};
use http::{Request, Response};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Service that makes a span of every call of the inner service. It is as ready as the inner service.
pub struct TraceService<S, M = Http> {
    inner: S,
    shared: Arc<Shared>,
    side: Side,
    flavour: PhantomData<M>,
}

impl<S, M> TraceService<S, M> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>, side: Side) -> Self {
        Self { inner, shared, side, flavour: PhantomData }
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

impl<S: Clone, M> Clone for TraceService<S, M> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.shared.clone(), self.side)
    }
}

impl<S: fmt::Debug, M> fmt::Debug for TraceService<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceService")
            .field("inner", &self.inner)
            .field("name", &self.shared.name())
            .finish_non_exhaustive()
    }
}

impl<S, Req> Service<Req> for TraceService<S, Typed>
where
    S: Service<Req>,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, Typed>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        match Call::begin_typed(&self.shared, self.side) {
            Some(mut call) => ResponseFuture::new(call.enter(|| self.inner.call(req)), Some(call)),
            None => ResponseFuture::new(self.inner.call(req), None),
        }
    }
}

impl<S, B, RB> Service<Request<B>> for TraceService<S, Http>
where
    S: Service<Request<B>, Response = Response<RB>>,
    S::Error: 'static,
    RB: Body,
{
    type Response = Response<TraceBody<RB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, Http>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        match Call::begin(&self.shared, self.side, &mut req) {
            Some(mut call) => ResponseFuture::new(call.enter(|| self.inner.call(req)), Some(call)),
            None => ResponseFuture::new(self.inner.call(req), None),
        }
    }
}
