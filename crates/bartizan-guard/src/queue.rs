use crate::entrance::{Entrance, Held};
use crate::fields::Fields;
use crate::future::{HttpFuture, TypedFuture};
use crate::waiting::{HttpQueueFuture, TypedQueueFuture};
use bartizan_core::{Attempt, Classify, Context, Queue, Refused, Turn, Unsent};
use bartizan_http::{AtEnd, Form, GuardedBody, Http, Typed};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::task::{self, Poll};
use tower_service::Service;

/// Service that asks a policy, and waits for its turn if told so, before it calls the inner service.
///
/// It is always ready and reserves nothing. A request that has its turn makes a clone of the inner service ready, and calls it;
/// an error of that readiness is the request's.
#[derive(Clone, Debug)]
pub struct QueueGuard<S, A, C, M = Http> {
    inner: S,
    admit: A,
    classify: C,
    flavour: PhantomData<M>,
}

impl<S, A, C, M> QueueGuard<S, A, C, M> {
    pub(crate) const fn new(inner: S, admit: A, classify: C) -> Self {
        Self { inner, admit, classify, flavour: PhantomData }
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

impl<S: Clone, A: Clone, C: Clone, M> QueueGuard<S, A, C, M> {
    /// What a request takes along.
    fn hold<Req>(&self, req: Req) -> Held<S, A, C, Req> {
        let (service, admit, classify) = (self.inner.clone(), self.admit.clone(), self.classify.clone());
        Held { service, admit, classify, req }
    }
}

impl<S, A, C, Req> Service<Req> for QueueGuard<S, A, C, Typed>
where
    S: Service<Req> + Clone,
    S::Error: From<Refused>,
    A: Queue<Req>,
    C: Classify<Req>,
    C::Attempt: Attempt<S::Response, S::Error, AtEnd = Infallible>,
    Req: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TypedQueueFuture<S, A, C, Req>;

    #[inline]
    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        match self.admit.queue(&req) {
            Turn::Admitted(permit) => {
                TypedQueueFuture::entering(Entrance::admitted(self.hold(req), permit, None))
            }
            Turn::Waiting(wait) => TypedQueueFuture::entering(Entrance::waiting(self.hold(req), wait, None)),
            Turn::Refused(refusing) => {
                Unsent::give_back(req);
                TypedQueueFuture::running(TypedFuture::refused(self.admit.refuse(refusing)))
            }
        }
    }
}

impl<S, A, C, B, RB> Service<Request<B>> for QueueGuard<S, A, C, Http>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    RB: Body<Data = Bytes>,
    B: 'static,
    A: Queue<Request<B>>,
    C: Classify<Request<B>>,
    C::Attempt: Attempt<Response<RB>, S::Error>,
    <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd: AtEnd,
{
    type Response =
        Response<GuardedBody<RB, A::Permit, <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd>>;
    type Error = S::Error;
    type Future = HttpQueueFuture<S, A, C, B>;

    #[inline]
    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let context = req.extensions().get::<Context>().copied();
        let turn = match context {
            Some(context) => context.enter(|| self.admit.queue(&req)),
            None => self.admit.queue(&req),
        };
        match turn {
            Turn::Admitted(permit) => {
                HttpQueueFuture::entering(Entrance::admitted(self.hold(req), permit, context))
            }
            Turn::Waiting(wait) => {
                HttpQueueFuture::entering(Entrance::waiting(self.hold(req), wait, context))
            }
            Turn::Refused(refusing) => {
                let fields = Fields::of::<Request<B>>(&self.admit, refusing);
                let form = Form::of(&req);
                Unsent::give_back(req);
                HttpQueueFuture::running(HttpFuture::refused(self.admit.refuse(refusing), fields, form))
            }
        }
    }
}
