//! The futures of a [`DeadlineService`](crate::DeadlineService). Dropped before they are done, they drop the inner future and its timer.
//!
//! What is on the way of an answer is inlined come what may: an answer that crosses a call through memory, written in parts
//! and read as a whole, costs more than all that is done to it here.

use crate::body::DeadlineBody;
use crate::call::Call;
use crate::limit::Limit;
use crate::reason::Reason;
use crate::span::Span;
use crate::timer::Timer;
use crate::watch::{Watch, end};
use bartizan_core::Refused;
use bartizan_http::{Form, answer};
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

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let TypedProj::Running { inner, limit, watch, .. } = self.as_mut().project().state.project() {
            if let Poll::Ready(out) = limit.enter(|| inner.poll(cx)) {
                watch.answered(out.is_ok());
                return Poll::Ready(out);
            }
        }
        self.poll_end(cx).map(|refused| Err(refused.into()))
    }
}

impl<F> TypedFuture<F> {
    /// Ready with the refusal once the call has to end, or was refused from the start. Kept out of the way of an answer.
    #[inline(always)]
    fn poll_end(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Refused> {
        let (timer, limit, watch) = match self.as_mut().project().state.project() {
            TypedProj::Refused { refused } => return Poll::Ready(refused.take().expect(DONE)),
            TypedProj::Running { timer, limit, watch, .. } => (timer, limit, watch),
        };
        match *limit {
            Limit::Never | Limit::Own(Span::ENDLESS) => return Poll::Pending,
            Limit::Own(own) => ready!(timer.poll_after(own, cx)),
            Limit::Within(context) => match context.deadline() {
                Some(deadline) => ready!(timer.poll(deadline, cx)),
                None => return Poll::Pending,
            },
        }
        let refused = end(watch.release().0.as_deref(), Reason::Total);
        self.project().state.set(TypedState::Refused { refused: None });
        Poll::Ready(refused)
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
        Refused { refused: Option<Refused>, form: Form },
        Running { #[pin] inner: F, #[pin] timer: Timer, call: Call },
    }
}

impl<F> HttpFuture<F> {
    #[inline]
    pub(crate) const fn running(inner: F, call: Call) -> Self {
        Self { state: HttpState::Running { inner, timer: Timer::new(), call } }
    }

    #[inline]
    pub(crate) const fn refused(refused: Refused, form: Form) -> Self {
        Self { state: HttpState::Refused { refused: Some(refused), form } }
    }
}

impl<F, B, E> Future for HttpFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<DeadlineBody<B>>, E>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let HttpProj::Running { inner, call, .. } = self.as_mut().project().state.project() {
            match call.enter(
                #[inline(always)]
                || inner.poll(cx),
            ) {
                Poll::Ready(Ok(response)) => {
                    let bounds = call.answered(&response);
                    return Poll::Ready(Ok(response.map(|body| DeadlineBody::new(body, bounds))));
                }
                Poll::Ready(Err(error)) => {
                    call.failed();
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {}
            }
        }
        self.poll_end(cx)
            .map(|(refused, form)| Ok(answer(refused, form).map(|data| DeadlineBody::full(data.into()))))
    }
}

impl<F> HttpFuture<F> {
    /// Ready with the refusal once the call has to end, or was refused from the start. Kept out of the way of an answer.
    #[inline(never)]
    fn poll_end(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(Refused, Form)> {
        let (timer, call) = match self.as_mut().project().state.project() {
            HttpProj::Refused { refused, form } => return Poll::Ready((refused.take().expect(DONE), *form)),
            HttpProj::Running { timer, call, .. } => (timer, call),
        };
        let reason = ready!(call.poll_due(timer, cx));
        let (refused, form) = (call.end(reason), call.form);
        self.project().state.set(HttpState::Refused { refused: None, form });
        Poll::Ready((refused, form))
    }
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
