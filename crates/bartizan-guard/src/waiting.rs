//! The futures of a [`QueueGuard`](crate::QueueGuard): the entrance, and then the future of a guard.

use crate::entrance::{Entered, Entrance};
use crate::fields::Fields;
use crate::future::{HttpFuture, TypedFuture};
use bartizan_core::{Attempt, Classify, Queue, Refused};
use bartizan_http::{AtEnd, Form, GuardedBody};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

pin_project! {
    /// Future of the typed flavour of a guard with a queue.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct TypedQueueFuture<S, A, C, Req>
    where
        S: Service<Req>,
        A: Queue<Req>,
        C: Classify<Req>,
    {
        #[pin]
        state: State<Entrance<S, A, C, Req>, TypedFuture<S::Future, A::Permit, C::Attempt>>,
    }
}

pin_project! {
    /// Future of the HTTP flavour of a guard with a queue.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct HttpQueueFuture<S, A, C, B>
    where
        S: Service<Request<B>>,
        A: Queue<Request<B>>,
        C: Classify<Request<B>>,
    {
        #[pin]
        state: State<Entrance<S, A, C, Request<B>>, HttpFuture<S::Future, A::Permit, C::Attempt>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<W, F> {
        Entering { #[pin] entrance: W },
        Running { #[pin] future: F },
    }
}

impl<S: Service<Req>, A: Queue<Req>, C: Classify<Req>, Req> TypedQueueFuture<S, A, C, Req> {
    pub(crate) const fn entering(entrance: Entrance<S, A, C, Req>) -> Self {
        Self { state: State::Entering { entrance } }
    }

    pub(crate) const fn running(future: TypedFuture<S::Future, A::Permit, C::Attempt>) -> Self {
        Self { state: State::Running { future } }
    }
}

impl<S, A, C, Req> Future for TypedQueueFuture<S, A, C, Req>
where
    S: Service<Req>,
    S::Error: From<Refused>,
    A: Queue<Req>,
    C: Classify<Req>,
    C::Attempt: Attempt<S::Response, S::Error, AtEnd = Infallible>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                StateProj::Running { future } => return future.poll(cx),
                StateProj::Entering { entrance } => match ready!(entrance.poll(cx)) {
                    Entered::Broken(error) => return Poll::Ready(Err(error)),
                    Entered::Refused(refusing, held) => TypedFuture::refused(held.admit.refuse(refusing)),
                    Entered::In(permit, mut held) => {
                        let attempt = held.classify.start(&held.req);
                        TypedFuture::admitted(permit, attempt, || held.service.call(held.req))
                    }
                },
            };
            state.set(State::Running { future });
        }
    }
}

impl<S: Service<Request<B>>, A: Queue<Request<B>>, C: Classify<Request<B>>, B> HttpQueueFuture<S, A, C, B> {
    pub(crate) const fn entering(entrance: Entrance<S, A, C, Request<B>>) -> Self {
        Self { state: State::Entering { entrance } }
    }

    pub(crate) const fn running(future: HttpFuture<S::Future, A::Permit, C::Attempt>) -> Self {
        Self { state: State::Running { future } }
    }
}

impl<S, A, C, B, RB> Future for HttpQueueFuture<S, A, C, B>
where
    S: Service<Request<B>, Response = Response<RB>>,
    RB: Body<Data = Bytes>,
    A: Queue<Request<B>>,
    C: Classify<Request<B>>,
    C::Attempt: Attempt<Response<RB>, S::Error>,
    <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd: AtEnd,
{
    type Output = Result<
        Response<GuardedBody<RB, A::Permit, <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd>>,
        S::Error,
    >;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                StateProj::Running { future } => return future.poll(cx),
                StateProj::Entering { entrance } => match ready!(entrance.poll(cx)) {
                    Entered::Broken(error) => return Poll::Ready(Err(error)),
                    Entered::Refused(refusing, held) => {
                        let fields = Fields::of(&held.admit, refusing);
                        let form = Form::of(&held.req);
                        HttpFuture::refused(held.admit.refuse(refusing), fields, form)
                    }
                    Entered::In(permit, mut held) => {
                        let attempt = held.classify.start(&held.req);
                        HttpFuture::admitted(permit, attempt, || held.service.call(held.req))
                    }
                },
            };
            state.set(State::Running { future });
        }
    }
}

impl<W, F: fmt::Debug> fmt::Debug for State<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entering { .. } => f.write_str("Entering"),
            Self::Running { future } => future.fmt(f),
        }
    }
}

impl<S: Service<Req>, A: Queue<Req>, C: Classify<Req>, Req> fmt::Debug for TypedQueueFuture<S, A, C, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedQueueFuture").field(&self.state).finish()
    }
}

impl<S, A, C, B> fmt::Debug for HttpQueueFuture<S, A, C, B>
where
    S: Service<Request<B>>,
    A: Queue<Request<B>>,
    C: Classify<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpQueueFuture").field(&self.state).finish()
    }
}
