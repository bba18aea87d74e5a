//! The futures of a [`DeadlineService`](crate::DeadlineService). Dropped before they are done, they drop the inner future and its timer.

use crate::body::DeadlineBody;
use crate::call::Call;
use crate::limit::Limit;
use crate::reason::Reason;
use crate::timer::Timer;
use crate::watch::{Watch, end};
use bartizan_core::Refused;
use bartizan_http::answer;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const DONE: &str = "a deadline's future is not polled after it is done";

pin_project! {
    /// Future of the typed flavour.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct TypedFuture<F> {
        #[pin]
        state: TypedState<F>,
    }
}

pin_project! {
    #[project = TypedProj]
    enum TypedState<F> {
        Refused { refused: Option<Refused> },
        Running { #[pin] inner: F, #[pin] timer: Timer, limit: Limit, watch: Watch },
    }
}

impl<F> TypedFuture<F> {
    #[inline]
    pub(crate) const fn running(inner: F, limit: Limit, watch: Watch) -> Self {
        Self { state: TypedState::Running { inner, timer: Timer::new(), limit, watch } }
    }

    #[inline]
    pub(crate) const fn refused(refused: Refused) -> Self {
        Self { state: TypedState::Refused { refused: Some(refused) } }
    }
}

impl<F, T, E> Future for TypedFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: From<Refused>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (inner, timer, limit, watch) = match self.as_mut().project().state.project() {
            TypedProj::Refused { refused } => return Poll::Ready(Err(refused.take().expect(DONE).into())),
            TypedProj::Running { inner, timer, limit, watch } => (inner, timer, limit, watch),
        };
        if let Poll::Ready(out) = limit.enter(|| inner.poll(cx)) {
            if let ((Some(shared), began), true) = (watch.answered(), out.is_ok()) {
                shared.learn(began);
            }
            return Poll::Ready(out);
        }
        let Some(deadline) = limit.deadline() else { return Poll::Pending };
        ready!(timer.poll(deadline, cx));
        let refused = end(watch.answered().0.as_deref(), Reason::Total);
        self.project().state.set(TypedState::Refused { refused: None });
        Poll::Ready(Err(refused.into()))
    }
}

pin_project! {
    /// Future of the HTTP flavour.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct HttpFuture<F> {
        #[pin]
        state: HttpState<F>,
    }
}

pin_project! {
    #[project = HttpProj]
    enum HttpState<F> {
        Refused { refused: Option<Refused>, grpc: bool },
        Running { #[pin] inner: F, #[pin] timer: Timer, call: Call },
    }
}

impl<F> HttpFuture<F> {
    #[inline]
    pub(crate) const fn running(inner: F, call: Call) -> Self {
        Self { state: HttpState::Running { inner, timer: Timer::new(), call } }
    }

    #[inline]
    pub(crate) const fn refused(refused: Refused, grpc: bool) -> Self {
        Self { state: HttpState::Refused { refused: Some(refused), grpc } }
    }
}

impl<F, B, E> Future for HttpFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<DeadlineBody<B>>, E>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (inner, timer, call) = match self.as_mut().project().state.project() {
            HttpProj::Refused { refused, grpc } => {
                return Poll::Ready(Ok(refusal(refused.take().expect(DONE), *grpc)));
            }
            HttpProj::Running { inner, timer, call } => (inner, timer, call),
        };
        match call.enter(|| inner.poll(cx)) {
            Poll::Ready(Ok(response)) => return Poll::Ready(Ok(call.answered(response))),
            Poll::Ready(Err(error)) => {
                call.failed();
                return Poll::Ready(Err(error));
            }
            Poll::Pending => {}
        }
        let reason = ready!(call.poll_due(timer, cx));
        let (refused, grpc) = (call.end(reason), call.grpc);
        self.project().state.set(HttpState::Refused { refused: None, grpc });
        Poll::Ready(Ok(refusal(refused, grpc)))
    }
}

#[cold]
fn refusal<B>(refused: Refused, grpc: bool) -> Response<DeadlineBody<B>> {
    answer(refused, grpc).map(|data| DeadlineBody::full(data.into()))
}

impl<F> fmt::Debug for TypedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = matches!(self.state, TypedState::Refused { .. });
        f.debug_struct("TypedFuture").field("refused", &refused).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for HttpFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = matches!(self.state, HttpState::Refused { .. });
        f.debug_struct("HttpFuture").field("refused", &refused).finish_non_exhaustive()
    }
}
