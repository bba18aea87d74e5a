//! The futures of a [`Guard`](crate::Guard) and of a [`QueueGuard`](crate::QueueGuard). Dropped before they are done, they give
//! back what the policy handed out.
//!
//! What a good call passes through is inlined by force, here and in the service: called out of line, a request and a future
//! are moved through memory at every step, which costs more than all that the guard does.

use crate::fields::{Fields, append};
use bartizan_core::{Attempt, Permit, Refused, Step, Verdict};
use bartizan_http::{AtEnd, Form, GuardedBody, answer};
use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub use crate::waiting::{HttpQueueFuture, TypedQueueFuture};

const DONE: &str = "a guard's future is not polled after it is done";

/// The permit and the classifier of a request under way.
///
/// Dropped within a step of the inner service, that step has panicked: the permit hears of a failure, and the panic goes on.
struct Running<P: Permit, T> {
    held: Option<(P, T)>,
    stepping: bool,
}

impl<P: Permit, T> Running<P, T> {
    #[inline(always)]
    const fn new(permit: P, attempt: T) -> Self {
        Self { held: Some((permit, attempt)), stepping: false }
    }

    /// Runs a step of the inner service.
    #[inline(always)]
    fn step<R>(&mut self, step: impl FnOnce() -> R) -> R {
        self.stepping = true;
        let out = step();
        self.stepping = false;
        out
    }

    /// Judges the answer. What is left of the permit is returned with what will find the verdict at the end of the body.
    #[inline(always)]
    fn answered<Res, E>(&mut self, out: Result<&Res, &E>) -> (P, Option<T::AtEnd>)
    where
        T: Attempt<Res, E>,
    {
        let (mut permit, attempt) = self.held.take().expect(DONE);
        permit.answered();
        match attempt.classify(out) {
            Step::Done(verdict) => {
                permit.record(verdict);
                (permit, None)
            }
            Step::AtEnd(at_end) => {
                permit.streaming();
                (permit, Some(at_end))
            }
        }
    }
}

impl<P: Permit, T> Drop for Running<P, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.stepping {
            panicked(&mut self.held);
        }
    }
}

#[cold]
fn panicked<P: Permit, T>(held: &mut Option<(P, T)>) {
    if let Some((mut permit, _)) = held.take() {
        permit.record(Verdict::Failure);
    }
}

pin_project! {
    /// Future of the typed flavour.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct TypedFuture<F, P: Permit, T> {
        #[pin]
        state: TypedState<F, P, T>,
    }
}

pin_project! {
    #[project = TypedProj]
    enum TypedState<F, P: Permit, T> {
        Refused { refused: Refused },
        // Dropped in this order: the work is over before its place is given back.
        Running { #[pin] future: F, running: Running<P, T> },
    }
}

impl<F, P: Permit, T> TypedFuture<F, P, T> {
    #[inline(always)]
    pub(crate) fn admitted(permit: P, attempt: T, call: impl FnOnce() -> F) -> Self {
        let mut running = Running::new(permit, attempt);
        let future = running.step(call);
        Self { state: TypedState::Running { running, future } }
    }

    #[inline(always)]
    pub(crate) const fn refused(refused: Refused) -> Self {
        Self { state: TypedState::Refused { refused } }
    }
}

impl<F, P, T, Res, E> Future for TypedFuture<F, P, T>
where
    F: Future<Output = Result<Res, E>>,
    E: From<Refused>,
    P: Permit,
    T: Attempt<Res, E, AtEnd = Infallible>,
{
    type Output = Result<Res, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            TypedProj::Refused { refused } => Poll::Ready(Err(refused.take().into())),
            TypedProj::Running { running, future } => {
                let out = ready!(running.step(
                    #[inline(always)]
                    || future.poll(cx)
                ));
                drop(running.answered(out.as_ref()));
                Poll::Ready(out)
            }
        }
    }
}

pin_project! {
    /// Future of the HTTP flavour.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct HttpFuture<F, P: Permit, T> {
        #[pin]
        state: HttpState<F, P, T>,
    }
}

pin_project! {
    #[project = HttpProj]
    enum HttpState<F, P: Permit, T> {
        Refused { refused: Refused, fields: Fields, form: Form },
        // Dropped in this order: the work is over before its place is given back.
        Running { #[pin] future: F, running: Running<P, T> },
    }
}

impl<F, P: Permit, T> HttpFuture<F, P, T> {
    #[inline(always)]
    pub(crate) fn admitted(permit: P, attempt: T, call: impl FnOnce() -> F) -> Self {
        let mut running = Running::new(permit, attempt);
        let future = running.step(call);
        Self { state: HttpState::Running { running, future } }
    }

    #[inline(always)]
    pub(crate) const fn refused(refused: Refused, fields: Fields, form: Form) -> Self {
        Self { state: HttpState::Refused { refused, fields, form } }
    }
}

impl<F, P, T, B, E> Future for HttpFuture<F, P, T>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
    P: Permit,
    T: Attempt<Response<B>, E>,
    T::AtEnd: AtEnd,
{
    type Output = Result<Response<GuardedBody<B, P, T::AtEnd>>, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            HttpProj::Refused { refused, fields, form } => {
                let mut response = answer(refused.take(), *form);
                fields.put(response.headers_mut());
                Poll::Ready(Ok(response.map(GuardedBody::full)))
            }
            HttpProj::Running { running, future } => {
                let out = ready!(running.step(
                    #[inline(always)]
                    || future.poll(cx)
                ));
                let (permit, at_end) = running.answered(out.as_ref());
                if permit.tells() {
                    return Poll::Ready(told(out, permit, at_end));
                }
                Poll::Ready(out.map(|response| guarded(response, permit, at_end)))
            }
        }
    }
}

#[inline(always)]
fn guarded<P, B, E>(response: Response<B>, permit: P, at_end: Option<E>) -> Response<GuardedBody<B, P, E>>
where
    P: Permit,
    B: Body<Data = Bytes>,
    E: AtEnd,
{
    response.map(|body| GuardedBody::new(body, permit, at_end))
}

/// All that remains to be done is done here, out of line: who says nothing keeps the answer in registers.
#[cold]
#[inline(never)]
fn told<P, B, E, Err>(
    out: Result<Response<B>, Err>,
    permit: P,
    at_end: Option<E>,
) -> Result<Response<GuardedBody<B, P, E>>, Err>
where
    P: Permit,
    B: Body<Data = Bytes>,
    E: AtEnd,
{
    let mut response = out?;
    permit.fields(&mut |name, value| append(response.headers_mut(), name, value));
    Ok(guarded(response, permit, at_end))
}

impl<F, P: Permit, T> fmt::Debug for TypedFuture<F, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = matches!(self.state, TypedState::Refused { .. });
        f.debug_struct("TypedFuture").field("refused", &refused).finish_non_exhaustive()
    }
}

impl<F, P: Permit, T> fmt::Debug for HttpFuture<F, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = matches!(self.state, HttpState::Refused { .. });
        f.debug_struct("HttpFuture").field("refused", &refused).finish_non_exhaustive()
    }
}
