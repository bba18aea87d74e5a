use crate::future::{Call, ResponseFuture};
use crate::shared::{Flags, Shared};
use bartizan_again::{HttpWay, Keep, Way};
use bartizan_core::Instant;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Service that calls the inner service again where a call has failed. It is as ready as the inner service, which is made ready
/// again before every later attempt.
pub struct RetryService<S, W = HttpWay> {
    inner: S,
    shared: Arc<Shared>,
    way: W,
}

impl<S, W> RetryService<S, W> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>, way: W) -> Self {
        Self { inner, shared, way }
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

impl<S: Clone, W: Clone> Clone for RetryService<S, W> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.shared.clone(), self.way.clone())
    }
}

impl<S: fmt::Debug, W> fmt::Debug for RetryService<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryService")
            .field("inner", &self.inner)
            .field("name", &self.shared.name())
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
        W::poll_ready(&mut self.inner, cx)
    }

    #[inline(always)]
    fn call(&mut self, req: Req) -> Self::Future {
        let unready = self.inner.clone();
        let mut service = std::mem::replace(&mut self.inner, unready);
        let flags = self.shared.flags();
        if flags.has(Flags::WATCHED) {
            self.shared.counts.call();
        }
        let began = flags.has(Flags::TIMED).then(Instant::now);
        let keep = if flags.has(Flags::ENABLED) { Keep::All } else { Keep::Nothing };
        let (sent, kept) = self.way.keep(req, &self.shared.limit, keep);
        let (attempt, endpoint) = self.way.send(&mut service, sent);
        let (way, shared) = (self.way.clone(), self.shared.clone());
        ResponseFuture::new(attempt, Call { service, way, shared, kept, endpoint, began })
    }
}
