use crate::signs::Signs;
use crate::way::{Heard, Keep, Way};
use bartizan_core::{Attempt, Avoid, Classify, Context, Endpoint, ErrorsFail, Step};
use bartizan_http::ReplayLimit;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use tower_service::Service;

/// Sends requests of any type more than once, by a function that copies them: `Fn(&Req) -> Option<Req>`. `None` says that a request
/// must not be sent again.
#[derive(Clone, Copy)]
pub struct TypedWay<F, C = ErrorsFail> {
    copy: F,
    classify: C,
}

impl<F, C> TypedWay<F, C> {
    /// Creates the way of a copy function and a classifier.
    pub const fn new(copy: F, classify: C) -> Self {
        Self { copy, classify }
    }

    /// Replaces the classifier.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> TypedWay<F, D> {
        TypedWay { copy: self.copy, classify }
    }
}

impl<F, C> fmt::Debug for TypedWay<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedWay(..)")
    }
}

pin_project! {
    /// One attempt of a [`TypedWay`].
    pub struct TypedTry<F, A> {
        #[pin]
        future: F,
        attempt: Option<A>,
    }
}

impl<F, A> fmt::Debug for TypedTry<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedTry(..)")
    }
}

impl<S, Req, F, C> Way<S, Req> for TypedWay<F, C>
where
    S: Service<Req>,
    S::Error: 'static,
    F: Fn(&Req) -> Option<Req> + Clone + Send + Sync + 'static,
    C: Classify<Req>,
    C::Attempt: Attempt<S::Response, S::Error, AtEnd = Infallible>,
{
    type Sent = Req;
    type Kept = Req;
    type Response = S::Response;
    type Error = S::Error;
    type Try = TypedTry<S::Future, C::Attempt>;

    #[inline(always)]
    fn poll_ready(service: &mut S, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        service.poll_ready(cx)
    }

    #[inline(always)]
    fn keep(&self, req: Req, _: &ReplayLimit, keep: Keep) -> (Req, Option<Req>) {
        let kept = if keep == Keep::Nothing { None } else { (self.copy)(&req) };
        (req, kept)
    }

    fn is_first(_: &Req) -> bool {
        Context::current().is_none_or(|context| context.attempt() == 0)
    }

    fn repeatable(&self, _: &Req) -> bool {
        true
    }

    fn copy(&self, kept: &Req, _: u32, _: Avoid) -> Option<Req> {
        (self.copy)(kept)
    }

    #[inline(always)]
    fn send(&self, service: &mut S, sent: Req) -> (Self::Try, Option<Endpoint>) {
        let attempt = Some(self.classify.start(&sent));
        (TypedTry { future: service.call(sent), attempt }, None)
    }

    #[inline(always)]
    fn poll_try(
        &self,
        attempt: Pin<&mut Self::Try>,
        _: Option<&Req>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Heard<S::Response, S::Error>> {
        let this = attempt.project();
        let answer = ready!(this.future.poll(cx));
        let attempt = this.attempt.take().expect("an attempt is not polled after its answer");
        let Step::Done(verdict) = attempt.classify(answer.as_ref());
        Poll::Ready(Heard { answer, verdict })
    }

    fn signs(answer: &Result<S::Response, S::Error>) -> Signs {
        match answer {
            Ok(_) => Signs::unknown(),
            Err(error) => Signs::of_error(error),
        }
    }

    fn mark<T: Clone + Send + Sync + 'static>(_: &mut Req, _: T) {}

    fn tell<T: Clone + Send + Sync + 'static>(_: &mut S::Response, _: T) {}

    fn context(_: &Req) -> Option<Context> {
        Context::current()
    }

    /// Who gives a copy says that the request may be repeated.
    fn is_untouched(_: &Req) -> bool {
        true
    }

    fn is_spoilt(_: &Req) -> bool {
        false
    }

    fn extension<T: Clone + Send + Sync + 'static>(_: &Req) -> Option<T> {
        None
    }

    fn asked(_: &Req) -> &[u16] {
        &[]
    }
}
