use crate::counts::Count;
use crate::future::ResponseFuture;
use crate::shared::{Flags, Shared};
use bartizan_again::{HttpWay, Inner, Keep, Way};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Service that sends copies of a request that takes longer than most. It is as ready as the inner service; each copy is sent by a clone
/// of it that is made ready first.
pub struct HedgeService<S, W = HttpWay> {
    inner: Inner<S, Shared>,
    way: W,
}

impl<S, W> HedgeService<S, W> {
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

impl<S: Clone, W: Clone> Clone for HedgeService<S, W> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), way: self.way.clone() }
    }
}

impl<S: fmt::Debug, W> fmt::Debug for HedgeService<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeService")
            .field("inner", self.inner.get_ref())
            .field("name", &self.inner.state().name())
            .finish_non_exhaustive()
    }
}

impl<S, W, Req> Service<Req> for HedgeService<S, W>
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
            spare.counts.count(Count::Calls, 1);
        }
        let keep = if flags.has(Flags::ENABLED) { Keep::Repeatable } else { Keep::Nothing };
        let (sent, kept) = self.way.keep(req, &spare.limit, keep);
        let (primary, endpoint) = self.way.send(self.inner.service(), sent);
        ResponseFuture::new(primary, endpoint, spare, self.way.clone(), kept)
    }
}
