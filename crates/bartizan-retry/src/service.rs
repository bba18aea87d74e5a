use crate::future::{Call, ResponseFuture};
use crate::shared::{Flags, Shared};
use bartizan_again::{HttpWay, Inner, Keep, Way};
use bartizan_core::Instant;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Service that calls the inner service again where a call has failed. It is as ready as the inner service, which is made ready
/// again before every later attempt.
pub struct RetryService<S, W = HttpWay> {
    inner: Inner<S, Shared>,
    way: W,
}

impl<S, W> RetryService<S, W> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>, way: W) -> Self {
        Self { inner: Inner::new(inner, shared), way }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        self.inner.get_ref()
    }

    /// The inner service, to be changed.
    pub fn get_mut(&mut self) -> &mut S {
        self.inner.get_mut()
    }

    /// Takes the inner service out.
    pub fn into_inner(self) -> S {
        self.inner.into_inner()
    }
}

impl<S: Clone, W: Clone> Clone for RetryService<S, W> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), way: self.way.clone() }
    }
}

impl<S: fmt::Debug, W> fmt::Debug for RetryService<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryService")
            .field("inner", self.inner.get_ref())
            .field("name", &self.inner.state().name())
            .finish_non_exhaustive()
    }
}

impl<S, W, Req> Service<Req> for RetryService<S, W>
where
    S: Clone,
    W: Way<S, Req>,
{
    type Response = W::Response;
    type Error = W::Error;
    type Future = ResponseFuture<S, W, Req>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), W::Error>> {
        W::poll_ready(self.inner.service(), cx)
    }

    #[inline(always)]
    fn call(&mut self, req: Req) -> Self::Future {
        let spare = self.inner.spare();
        let flags = spare.flags();
        if flags.has(Flags::WATCHED) {
            spare.counts.call();
        }
        let began = flags.has(Flags::TIMED).then(Instant::now);
        let keep = if flags.has(Flags::ENABLED) { Keep::All } else { Keep::Nothing };
        let (sent, kept) = self.way.keep(req, &spare.limit, keep);
        let (attempt, endpoint) = self.way.send(self.inner.service(), sent);
        let way = self.way.clone();
        ResponseFuture::new(attempt, Call { spare, way, kept, endpoint, began })
    }
}
