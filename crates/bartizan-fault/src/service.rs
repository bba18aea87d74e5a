use crate::blow::Asked;
use crate::board::Board;
use crate::body::FaultBody;
use crate::future::{HttpFuture, TypedFuture};
use crate::key::{HeadKey, Keyless, RequestKey};
use bartizan_core::Refused;
use bartizan_http::{Form, Head, Http, Typed};
use http::{Request, Response};
use http_body::Body;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Service that harms calls of the inner service on purpose. It is as ready as the inner service, and a call that it ends by itself
/// does not spend that.
pub struct FaultService<S, K = Keyless, M = Http> {
    inner: S,
    board: Arc<Board>,
    key: K,
    flavour: PhantomData<M>,
}

impl<S, K, M> FaultService<S, K, M> {
    pub(crate) const fn new(inner: S, board: Arc<Board>, key: K) -> Self {
        Self { inner, board, key, flavour: PhantomData }
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

impl<S: Clone, K: Clone, M> Clone for FaultService<S, K, M> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.board.clone(), self.key.clone())
    }
}

impl<S: fmt::Debug, K, M> fmt::Debug for FaultService<S, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultService")
            .field("inner", &self.inner)
            .field("name", &self.board.name())
            .finish_non_exhaustive()
    }
}

impl<S, K, Req> Service<Req> for FaultService<S, K, Typed>
where
    S: Service<Req>,
    S::Error: From<Refused>,
    K: RequestKey<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TypedFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, req: Req) -> Self::Future {
        let asked = |keyed: bool| Asked { headers: None, key: keyed.then(|| self.key.of(&req)).flatten() };
        match self.board.strike(asked) {
            None => TypedFuture::passing(self.inner.call(req)),
            Some(blow) => {
                let inner = blow.calls().then(|| self.inner.call(req));
                TypedFuture::struck(inner, blow, self.board.name().cloned())
            }
        }
    }
}

impl<S, K, B, RB> Service<Request<B>> for FaultService<S, K, Http>
where
    S: Service<Request<B>, Response = Response<RB>>,
    K: HeadKey,
    RB: Body,
    RB::Data: From<Vec<u8>>,
    RB::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<FaultBody<RB>>;
    type Error = S::Error;
    type Future = HttpFuture<S::Future, RB>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, req: Request<B>) -> Self::Future {
        let asked = |keyed: bool| Asked {
            headers: Some(req.headers()),
            key: keyed.then(|| self.key.of(&Head::of(&req))).flatten(),
        };
        match self.board.strike(asked) {
            None => HttpFuture::passing(self.inner.call(req)),
            Some(blow) => {
                let form = Form::of(&req);
                let inner = blow.calls().then(|| self.inner.call(req));
                HttpFuture::struck(inner, blow, form)
            }
        }
    }
}
