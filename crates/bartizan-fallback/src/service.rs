use crate::future::{Kept, ResponseFuture};
use crate::give::Give;
use crate::held::{Held, Tie};
use crate::http_way::HttpWay;
use crate::later::Later;
use crate::shared::Flags;
use crate::way::Way;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Service that replaces failures of the inner service.
///
/// It is ready when the inner service is, and where an inner service that is not ready is a failure that is asked for, at once: then a read
/// is answered in its place, and leaves it as it is, while anything else waits for it within the call.
pub struct FallbackService<S, W = HttpWay> {
    inner: S,
    held: Arc<Held<W>>,
    /// Whether the inner service was found ready. Never cloned.
    ready: bool,
}

impl<S, W> FallbackService<S, W> {
    pub(crate) const fn new(inner: S, held: Arc<Held<W>>) -> Self {
        Self { inner, held, ready: false }
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

    /// Keeps of a request what is needed should it fail; nothing of one that gets no fallback.
    #[inline(always)]
    fn keep<Req>(&self, req: &Req, flags: Flags) -> Option<Kept<S, W, Req>>
    where
        S: Service<Req>,
        W: Way<S, Req>,
    {
        let way = &self.held.way;
        let wanted = W::Give::GIVES && flags.has(Flags::ENABLED);
        if !wanted || !(flags.has(Flags::WRITES) || way.is_read(req)) {
            return None;
        }
        let tie = Tie::new(&self.held, flags, way.give());
        Some(Kept { begun: way.begin(req), tie, flags })
    }

    /// Calls though the inner service is not ready. A read leaves it where it is, so that it can go on becoming ready; what waits for it
    /// takes it along.
    #[cold]
    fn call_unready<Req>(&mut self, req: Req, flags: Flags) -> Pin<Box<Later<S, W, Req>>>
    where
        S: Service<Req> + Clone,
        W: Way<S, Req>,
    {
        let kept = self.keep(&req, flags).filter(|_| flags.has(Flags::AT_ONCE));
        let wait = self.held.shared.settings().max_wait;
        let mut service = self.inner.clone();
        if kept.is_none() || !wait.is_zero() {
            service = mem::replace(&mut self.inner, service);
        }
        Box::pin(Later::wait(service, req, kept, wait))
    }
}

impl<S: Clone, W> Clone for FallbackService<S, W> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.held.clone())
    }
}

impl<S: fmt::Debug, W> fmt::Debug for FallbackService<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackService")
            .field("inner", &self.inner)
            .field("name", &self.held.shared.name())
            .finish_non_exhaustive()
    }
}

impl<S, W, Req> Service<Req> for FallbackService<S, W>
where
    S: Service<Req> + Clone,
    W: Way<S, Req>,
{
    type Response = W::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, W, Req>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let polled = self.inner.poll_ready(cx);
        self.ready = matches!(polled, Poll::Ready(Ok(())));
        if polled.is_pending() && W::Give::GIVES && self.held.shared.flags().has(Flags::AT_ONCE) {
            return Poll::Ready(Ok(()));
        }
        polled
    }

    #[inline(always)]
    fn call(&mut self, req: Req) -> Self::Future {
        let flags = self.held.shared.flags();
        if !mem::take(&mut self.ready) {
            return ResponseFuture::later(self.call_unready(req, flags));
        }
        let kept = self.keep(&req, flags);
        ResponseFuture::called(self.inner.call(req), kept)
    }
}
