use crate::body::DeadlineBody;
use crate::call::Call;
use crate::future::{HttpFuture, TypedFuture};
use crate::layer::{Side, Uploads};
use crate::limit::Limit;
use crate::shared::Shared;
use crate::upload::Upload;
use crate::watch::Watch;
use bartizan_core::Refused;
use bartizan_http::{Http, Typed};
use http::{Request, Response};
use http_body::Body;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Service that bounds every call of the inner service in time. It is as ready as the inner service.
pub struct DeadlineService<S, M = Http> {
    inner: S,
    shared: Arc<Shared>,
    side: Side,
    flavour: PhantomData<M>,
}

impl<S, M> DeadlineService<S, M> {
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

impl<S: Clone, M> Clone for DeadlineService<S, M> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.shared.clone(), self.side)
    }
}

impl<S: fmt::Debug, M> fmt::Debug for DeadlineService<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineService")
            .field("inner", &self.inner)
            .field("name", &self.shared.name())
            .finish_non_exhaustive()
    }
}

impl<S, Req> Service<Req> for DeadlineService<S, Typed>
where
    S: Service<Req>,
    S::Error: From<Refused>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TypedFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, req: Req) -> Self::Future {
        if let Some(own) = Limit::own(&self.shared.settings) {
            return TypedFuture::running(self.inner.call(req), Limit::Own(own), Watch::NONE);
        }
        match Limit::begin(&self.shared) {
            Ok((limit, watch)) => TypedFuture::running(limit.enter(|| self.inner.call(req)), limit, watch),
            Err(refused) => TypedFuture::refused(refused),
        }
    }
}

impl<S, B, RB> Service<Request<B>> for DeadlineService<S, Http>
where
    S: Service<Request<B>, Response = Response<RB>>,
    RB: Body,
    RB::Data: From<Vec<u8>>,
    RB::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<DeadlineBody<RB>>;
    type Error = S::Error;
    type Future = HttpFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        match Call::begin(&self.shared, self.side, &mut req) {
            Ok(call) => HttpFuture::running(
                call.enter(
                    #[inline(always)]
                    || self.inner.call(req),
                ),
                call,
            ),
            Err((refused, form)) => HttpFuture::refused(refused, form),
        }
    }
}

impl<S, B, RB> Service<Request<B>> for DeadlineService<S, Uploads>
where
    S: Service<Request<Upload<B>>, Response = Response<RB>>,
    B: Body,
    RB: Body,
    RB::Data: From<Vec<u8>>,
    RB::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<DeadlineBody<RB>>;
    type Error = S::Error;
    type Future = HttpFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        match Call::begin(&self.shared, self.side, &mut req) {
            Ok(mut call) => {
                let req = call.wrap(&self.shared.settings, req);
                HttpFuture::running(
                    call.enter(
                        #[inline(always)]
                        || self.inner.call(req),
                    ),
                    call,
                )
            }
            Err((refused, form)) => HttpFuture::refused(refused, form),
        }
    }
}
