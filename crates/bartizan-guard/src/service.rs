use crate::fields::Fields;
use crate::future::{HttpFuture, TypedFuture};
use bartizan_core::{Admit, Attempt, Classify, Context, Kind, Reason, Refused, Refusing, Unsent};
use bartizan_http::{AtEnd, Form, GuardedBody, Http, Typed};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::task::{self, Poll};
use tower_service::Service;

/// Service that asks a policy before it calls the inner service.
#[derive(Debug)]
pub struct Guard<S, A, C, M = Http> {
    inner: S,
    admit: A,
    classify: C,
    readiness: Readiness,
    flavour: PhantomData<M>,
}

/// What `poll_ready` of this instance found; spent by `call`.
#[derive(Clone, Copy, Debug)]
enum Readiness {
    Unknown,
    Inner,
    Refusing(Refusing),
}

impl<S, A, C, M> Guard<S, A, C, M> {
    pub(crate) const fn new(inner: S, admit: A, classify: C) -> Self {
        Self { inner, admit, classify, readiness: Readiness::Unknown, flavour: PhantomData }
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

    #[inline(always)]
    fn poll_either<Req>(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Req>,
        A: Admit<Req>,
    {
        if let Some(refusing) = self.admit.refusing() {
            self.readiness = Readiness::Refusing(refusing);
            return Poll::Ready(Ok(()));
        }
        self.readiness = Readiness::Unknown;
        match self.inner.poll_ready(cx)? {
            Poll::Ready(()) => self.readiness = Readiness::Inner,
            Poll::Pending => match self.admit.pending() {
                Some(refusing) => self.readiness = Readiness::Refusing(refusing),
                None => return Poll::Pending,
            },
        }
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn enter<Req>(&mut self, req: &Req) -> Result<A::Permit, No>
    where
        A: Admit<Req>,
    {
        match std::mem::replace(&mut self.readiness, Readiness::Unknown) {
            Readiness::Inner => self.admit.admit(req).map_err(No::Policy),
            Readiness::Refusing(refusing) => Err(No::Policy(refusing)),
            Readiness::Unknown => Err(No::NotReady),
        }
    }
}

/// Who refuses.
#[derive(Clone, Copy)]
enum No {
    Policy(Refusing),
    NotReady,
}

impl No {
    #[inline(always)]
    fn refused<Req>(self, admit: &impl Admit<Req>) -> Refused {
        const NOT_READY: Reason = Reason::new("guard", Kind::Unavailable, "called before it was ready");
        match self {
            Self::Policy(refusing) => admit.refuse(refusing),
            Self::NotReady => Refused::new(&NOT_READY),
        }
    }
}

impl<S: Clone, A: Clone, C: Clone, M> Clone for Guard<S, A, C, M> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.admit.clone(), self.classify.clone())
    }
}

impl<S, A, C, Req> Service<Req> for Guard<S, A, C, Typed>
where
    S: Service<Req>,
    S::Error: From<Refused>,
    A: Admit<Req>,
    C: Classify<Req>,
    C::Attempt: Attempt<S::Response, S::Error, AtEnd = Infallible>,
    Req: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TypedFuture<S::Future, A::Permit, C::Attempt>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.poll_either::<Req>(cx)
    }

    #[inline(always)]
    fn call(&mut self, req: Req) -> Self::Future {
        match self.enter(&req) {
            Ok(permit) => {
                let attempt = self.classify.start(&req);
                TypedFuture::admitted(permit, attempt, || self.inner.call(req))
            }
            Err(no) => {
                Unsent::give_back(req);
                TypedFuture::refused(no.refused::<Req>(&self.admit))
            }
        }
    }
}

impl<S, A, C, B, RB> Service<Request<B>> for Guard<S, A, C, Http>
where
    S: Service<Request<B>, Response = Response<RB>>,
    RB: Body<Data = Bytes>,
    B: 'static,
    A: Admit<Request<B>>,
    C: Classify<Request<B>>,
    C::Attempt: Attempt<Response<RB>, S::Error>,
    <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd: AtEnd,
{
    type Response =
        Response<GuardedBody<RB, A::Permit, <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd>>;
    type Error = S::Error;
    type Future = HttpFuture<S::Future, A::Permit, C::Attempt>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.poll_either::<Request<B>>(cx)
    }

    #[inline(always)]
    fn call(&mut self, req: Request<B>) -> Self::Future {
        let entered = match req.extensions().get::<Context>() {
            Some(context) => context.enter(|| self.enter(&req)),
            None => self.enter(&req),
        };
        match entered {
            Ok(permit) => {
                let attempt = self.classify.start(&req);
                HttpFuture::admitted(
                    permit,
                    attempt,
                    #[inline(always)]
                    || self.inner.call(req),
                )
            }
            Err(no) => {
                let fields = match no {
                    No::Policy(refusing) => Fields::of::<Request<B>>(&self.admit, refusing),
                    No::NotReady => Fields::default(),
                };
                let refused = no.refused::<Request<B>>(&self.admit);
                let form = Form::of(&req);
                Unsent::give_back(req);
                HttpFuture::refused(refused, fields, form)
            }
        }
    }
}
