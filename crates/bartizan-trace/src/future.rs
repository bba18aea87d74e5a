//! Futures of a [`TraceService`](crate::TraceService), of a [`Job`](crate::Job) and of [`TraceContext::scope`].

use crate::TraceContext;
use crate::body::TraceBody;
use crate::call::Call;
use crate::context;
use bartizan_http::http_body::Body;
use bartizan_http::{Http, Typed};
use http::Response;
use pin_project_lite::pin_project;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Future of a [`TraceService`](crate::TraceService), and of [`Job::try_run`](crate::Job::try_run). Dropped before it is done, it ends the span, which says so.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F, M = Http> {
        #[pin]
        inner: F,
        call: Option<Call>,
        flavour: PhantomData<M>,
    }
}

impl<F, M> ResponseFuture<F, M> {
    #[inline]
    pub(crate) const fn new(inner: F, call: Option<Call>) -> Self {
        Self { inner, call, flavour: PhantomData }
    }
}

/// Runs a step within a call, if there is one.
#[inline]
fn within<R>(call: &mut Option<Call>, step: impl FnOnce() -> R) -> R {
    match call {
        Some(call) => call.enter(step),
        None => step(),
    }
}

impl<F, T, E> Future for ResponseFuture<F, Typed>
where
    F: Future<Output = Result<T, E>>,
    E: 'static,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let out = ready!(within(this.call, || this.inner.poll(cx)));
        if let Some(call) = this.call.take() {
            match &out {
                Ok(_) => call.done(),
                Err(error) => call.failed(error),
            }
        }
        Poll::Ready(out)
    }
}

impl<F, B, E> Future for ResponseFuture<F, Http>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<TraceBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let out = ready!(within(this.call, || this.inner.poll(cx)));
        let call = this.call.take();
        Poll::Ready(match (out, call) {
            (Ok(response), Some(call)) => {
                let call = call.answered(&response);
                Ok(response.map(|body| TraceBody::new(body, Some(call))))
            }
            (Ok(response), None) => Ok(response.map(|body| TraceBody::new(body, None))),
            (Err(error), call) => {
                if let Some(call) = call {
                    call.failed(&error);
                }
                Err(error)
            }
        })
    }
}

pin_project! {
    /// Future of [`TraceContext::scope`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Scoped<F> {
        #[pin]
        inner: F,
        context: Option<TraceContext>,
    }
}

impl<F> Scoped<F> {
    pub(crate) const fn new(context: TraceContext, inner: F) -> Self {
        Self { inner, context: Some(context) }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        context::enter(this.context, || this.inner.poll(cx))
    }
}

pin_project! {
    /// Future of [`Job::run`](crate::Job::run). Dropped before it is done, it ends the span, which says so.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct JobFuture<F> {
        #[pin]
        inner: F,
        call: Option<Call>,
    }
}

impl<F> JobFuture<F> {
    pub(crate) const fn new(call: Call, inner: F) -> Self {
        Self { inner, call: Some(call) }
    }
}

impl<F: Future> Future for JobFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let out = ready!(within(this.call, || this.inner.poll(cx)));
        if let Some(call) = this.call.take() {
            call.done();
        }
        Poll::Ready(out)
    }
}

impl<F, M> fmt::Debug for ResponseFuture<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("call", &self.call).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("context", &self.context).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for JobFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobFuture").field("call", &self.call).finish_non_exhaustive()
    }
}
