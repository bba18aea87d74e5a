//! Futures of the services.

use crate::answer::answer;
use crate::blow::{Blow, End};
use crate::body::FaultBody;
use bartizan_core::{Kind, Name, Reason, Refused};
use bartizan_http::Form;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// The error of the typed flavour. It counts as one of the service, or no breaker would ever see it.
const INJECTED: Reason = Reason::new("fault", Kind::Unavailable, "injected error").reached();

pin_project! {
    /// Future of the HTTP flavour.
    pub struct HttpFuture<F, B> {
        #[pin]
        state: HttpState<F, B>,
    }
}

pin_project! {
    #[project = HttpStateProj]
    enum HttpState<F, B> {
        Passing { #[pin] inner: F },
        // Rare, and large.
        Struck { struck: Pin<Box<Struck<F, B>>> },
    }
}

pin_project! {
    struct Struck<F, B> {
        #[pin]
        delay: Option<Sleep>,
        #[pin]
        inner: Option<F>,
        // The body of the reply that is lost.
        #[pin]
        lost: Option<B>,
        blow: Blow,
        form: Form,
    }
}

impl<F, B> HttpFuture<F, B> {
    #[inline]
    pub(crate) fn passing(inner: F) -> Self {
        Self { state: HttpState::Passing { inner } }
    }

    pub(crate) fn struck(inner: Option<F>, blow: Blow, form: Form) -> Self {
        let struck = Struck { delay: wait(blow.delay), inner, lost: None, blow, form };
        Self { state: HttpState::Struck { struck: Box::pin(struck) } }
    }
}

impl<F, B, E> Future for HttpFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    B::Data: From<Vec<u8>>,
{
    type Output = Result<Response<FaultBody<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            HttpStateProj::Passing { inner } => {
                inner.poll(cx).map_ok(|response| response.map(FaultBody::passing))
            }
            HttpStateProj::Struck { struck } => struck.as_mut().poll(cx),
        }
    }
}

impl<F, B, E> Future for Struck<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    B::Data: From<Vec<u8>>,
{
    type Output = Result<Response<FaultBody<B>>, E>;

    #[cold]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        ready!(waited(this.delay, cx));
        match this.blow.end {
            Some(End::Hang) => return Poll::Pending,
            Some(End::Panic) => panic!("injected panic"),
            Some(End::Reset) => return Poll::Ready(Ok(Response::new(FaultBody::broken()))),
            Some(End::LoseReply) => {
                if let Some(inner) = this.inner.as_mut().as_pin_mut() {
                    let reply = ready!(inner.poll(cx));
                    this.inner.set(None);
                    this.lost.set(reply.ok().map(Response::into_body));
                }
                if let Some(lost) = this.lost.as_mut().as_pin_mut() {
                    if matches!(ready!(lost.poll_frame(cx)), Some(Ok(_))) {
                        // A body that always has more must not keep a deadline outside from being looked at.
                        cx.waker().wake_by_ref();
                    } else {
                        this.lost.set(None);
                    }
                }
                return Poll::Pending;
            }
            Some(End::Error | End::Status(_) | End::Grpc(_)) => {
                return Poll::Ready(Ok(answer(this.blow.end, *this.form).map(FaultBody::full)));
            }
            None => {}
        }
        // A blow without an end calls the inner service.
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Pending };
        let harm = this.blow.body;
        inner.poll(cx).map_ok(|response| response.map(|body| FaultBody::harmed(body, harm)))
    }
}

pin_project! {
    /// Future of the typed flavour.
    pub struct TypedFuture<F> {
        #[pin]
        state: TypedState<F>,
    }
}

pin_project! {
    #[project = TypedStateProj]
    enum TypedState<F> {
        Passing { #[pin] inner: F },
        Struck { struck: Pin<Box<TypedStruck<F>>> },
    }
}

pin_project! {
    struct TypedStruck<F> {
        #[pin]
        delay: Option<Sleep>,
        #[pin]
        inner: Option<F>,
        end: Option<End>,
        name: Option<Name>,
    }
}

impl<F> TypedFuture<F> {
    #[inline]
    pub(crate) fn passing(inner: F) -> Self {
        Self { state: TypedState::Passing { inner } }
    }

    pub(crate) fn struck(inner: Option<F>, blow: Blow, name: Option<Name>) -> Self {
        let struck = TypedStruck { delay: wait(blow.delay), inner, end: blow.end, name };
        Self { state: TypedState::Struck { struck: Box::pin(struck) } }
    }
}

impl<F, T, E> Future for TypedFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: From<Refused>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            TypedStateProj::Passing { inner } => inner.poll(cx),
            TypedStateProj::Struck { struck } => struck.as_mut().poll(cx),
        }
    }
}

impl<F, T, E> Future for TypedStruck<F>
where
    F: Future<Output = Result<T, E>>,
    E: From<Refused>,
{
    type Output = Result<T, E>;

    #[cold]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        ready!(waited(this.delay, cx));
        match this.end {
            Some(End::Hang) => return Poll::Pending,
            Some(End::Panic) => panic!("injected panic"),
            Some(End::Error | End::Status(_) | End::Grpc(_) | End::Reset) => {
                return Poll::Ready(Err(Refused::new(&INJECTED).with_name(this.name.take()).into()));
            }
            Some(End::LoseReply) | None => {}
        }
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Pending };
        let outcome = ready!(inner.poll(cx));
        if this.end.is_none() {
            return Poll::Ready(outcome);
        }
        // The reply is lost, and the inner future must not be polled again.
        this.inner.set(None);
        Poll::Pending
    }
}

impl<F, B> fmt::Debug for HttpFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let struck = matches!(self.state, HttpState::Struck { .. });
        f.debug_struct("HttpFuture").field("struck", &struck).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for TypedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let struck = matches!(self.state, TypedState::Struck { .. });
        f.debug_struct("TypedFuture").field("struck", &struck).finish_non_exhaustive()
    }
}

fn wait(delay: Duration) -> Option<Sleep> {
    (delay > Duration::ZERO).then(|| sleep(delay))
}

/// Waits for a delay, once.
fn waited(mut delay: Pin<&mut Option<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
    if let Some(waiting) = delay.as_mut().as_pin_mut() {
        ready!(waiting.poll(cx));
        delay.set(None);
    }
    Poll::Ready(())
}
