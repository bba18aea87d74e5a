use crate::ejection::Origin;
use crate::permit::Permit;
use bartizan_core::{Attempt, Avoid, Classify, ErrorsFail, Refused, Step};
use bartizan_http::bytes::Bytes;
use bartizan_http::http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use bartizan_http::http_body::Body;
use bartizan_http::{AtEnd, Form, GuardedBody, Head, HttpClassifier, answer};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use tower::Service;

/// Header of an answer by which a server says that it is about to leave: it gets no new calls for a while, and those that it has begun
/// end. Any value but `0`.
pub const ENDPOINT_DRAINING: HeaderName = HeaderName::from_static("x-endpoint-draining");

/// What a balancer must know of the kind of its requests.
///
/// There are two kinds: [`HttpWay`] and [`TypedWay`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot balance requests of type `{Req}` over `{S}`",
    note = "the HTTP flavour takes `http::Request<B>` and an `http::Response` whose body yields `Bytes`; for others take `.typed()`"
)]
pub trait Way<S: Service<Req>, Req>: Clone + Send + Sync + 'static {
    /// The answer as it is passed on.
    type Response;
    /// What is kept of a request until its answer comes.
    type Attempt: Send + 'static;
    /// What finds the verdict at the end of the body.
    type AtEnd;

    /// Looks at a request before it is sent.
    fn start(&self, req: &Req) -> Self::Attempt;

    /// Where the request has been already.
    fn avoid(req: &Req) -> Avoid;

    /// What the request's place on a ring is made of.
    fn hash(&self, req: &Req) -> Option<u64>;

    /// How a refusal is answered.
    fn form(req: &Req) -> Form;

    /// Judges an answer.
    fn judge(attempt: Self::Attempt, out: &Result<S::Response, S::Error>) -> Judged<Self::AtEnd>;

    /// Passes an answer on, with what the end of its body decides.
    ///
    /// # Errors
    ///
    /// Passes an error on.
    fn finish(
        out: Result<S::Response, S::Error>,
        permit: Permit,
        at_end: Option<Self::AtEnd>,
    ) -> Result<Self::Response, S::Error>;

    /// Answers with a refusal.
    ///
    /// # Errors
    ///
    /// If a refusal is an error, as it is in the typed flavour.
    fn refuse(refused: Refused, form: Form) -> Result<Self::Response, S::Error>;
}

/// What an answer says of the member that gave it.
#[derive(Debug)]
pub struct Judged<E> {
    pub(crate) step: Step<E>,
    pub(crate) origin: Origin,
    pub(crate) drains: bool,
}

/// `http::Request` in, `http::Response` out. See [`BalanceService`](crate::BalanceService).
#[derive(Clone)]
pub struct HttpWay<C = HttpClassifier> {
    pub(crate) classify: C,
    pub(crate) hash: Option<Arc<HashOf>>,
}

pub(crate) type HashOf = dyn Fn(&Head<'_>) -> u64 + Send + Sync;

impl<C, S, B, RB> Way<S, Request<B>> for HttpWay<C>
where
    S: Service<Request<B>, Response = Response<RB>>,
    S::Error: 'static,
    RB: Body<Data = Bytes>,
    C: Classify<Request<B>>,
    C::Attempt: Attempt<Response<RB>, S::Error>,
    <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd: AtEnd,
{
    type Response = Response<GuardedBody<RB, Permit, Self::AtEnd>>;
    type Attempt = C::Attempt;
    type AtEnd = <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd;

    #[inline]
    fn start(&self, req: &Request<B>) -> C::Attempt {
        self.classify.start(req)
    }

    #[inline]
    fn avoid(req: &Request<B>) -> Avoid {
        req.extensions().get().copied().unwrap_or_default()
    }

    fn hash(&self, req: &Request<B>) -> Option<u64> {
        match &self.hash {
            Some(hash) => Some(hash(&Head::of(req))),
            None => Some(crate::ring::hash_of(&req.uri().path_and_query())),
        }
    }

    fn form(req: &Request<B>) -> Form {
        Form::of(req)
    }

    #[inline]
    fn judge(attempt: C::Attempt, out: &Result<S::Response, S::Error>) -> Judged<Self::AtEnd> {
        let step = attempt.classify(out.as_ref());
        match out {
            Ok(response) => {
                let origin = origin_of(response);
                Judged { step, origin, drains: says_leaving(response.headers()) }
            }
            Err(_) => Judged { step, origin: Origin::Local, drains: false },
        }
    }

    #[inline]
    fn finish(
        out: Result<S::Response, S::Error>,
        permit: Permit,
        at_end: Option<Self::AtEnd>,
    ) -> Result<Self::Response, S::Error> {
        out.map(|response| response.map(|body| GuardedBody::new(body, permit, at_end)))
    }

    fn refuse(refused: Refused, form: Form) -> Result<Self::Response, S::Error> {
        Ok(answer(refused, form).map(GuardedBody::full))
    }
}

#[inline]
fn origin_of<B>(response: &Response<B>) -> Origin {
    match response.status() {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            // What a layer on this side answers is no answer of the server's.
            if response.extensions().get::<Refused>().is_some() { Origin::Local } else { Origin::Gateway }
        }
        _ => Origin::Server,
    }
}

#[inline]
fn says_leaving(headers: &HeaderMap) -> bool {
    headers.get(ENDPOINT_DRAINING).is_some_and(|value| value.as_bytes() != b"0")
}

impl<C> fmt::Debug for HttpWay<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpWay").field("hashes", &self.hash.is_some()).finish_non_exhaustive()
    }
}

/// Requests of any type. See [`BalanceService::typed`](crate::BalanceService::typed).
#[derive(Clone)]
pub struct TypedWay<C = ErrorsFail, H = NoHash> {
    pub(crate) classify: C,
    pub(crate) hash: H,
}

/// What the place of a typed request on a ring is made of.
pub trait HashRequest<Req>: Clone + Send + Sync + 'static {
    /// The hash, if the request has one.
    fn hash(&self, req: &Req) -> Option<u64>;
}

/// Typed requests have no place on a ring unless a function gives them one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHash;

impl<Req> HashRequest<Req> for NoHash {
    fn hash(&self, _: &Req) -> Option<u64> {
        None
    }
}

impl<Req, F: Fn(&Req) -> u64 + Clone + Send + Sync + 'static> HashRequest<Req> for F {
    fn hash(&self, req: &Req) -> Option<u64> {
        Some(self(req))
    }
}

impl<C, H, S, Req> Way<S, Req> for TypedWay<C, H>
where
    S: Service<Req>,
    S::Error: From<Refused> + 'static,
    C: Classify<Req>,
    C::Attempt: Attempt<S::Response, S::Error, AtEnd = Infallible>,
    H: HashRequest<Req>,
{
    type Response = S::Response;
    type Attempt = C::Attempt;
    type AtEnd = Infallible;

    #[inline]
    fn start(&self, req: &Req) -> C::Attempt {
        self.classify.start(req)
    }

    #[inline]
    fn avoid(_: &Req) -> Avoid {
        Avoid::new()
    }

    fn hash(&self, req: &Req) -> Option<u64> {
        self.hash.hash(req)
    }

    fn form(_: &Req) -> Form {
        Form::Http
    }

    #[inline]
    fn judge(attempt: C::Attempt, out: &Result<S::Response, S::Error>) -> Judged<Infallible> {
        let step = attempt.classify(out.as_ref());
        let lost = out.as_ref().is_err_and(|error| ErrorsFail::refusal(error).is_some());
        Judged { step, origin: if lost { Origin::Local } else { Origin::Server }, drains: false }
    }

    #[inline]
    fn finish(
        out: Result<S::Response, S::Error>,
        _: Permit,
        _: Option<Infallible>,
    ) -> Result<Self::Response, S::Error> {
        out
    }

    fn refuse(refused: Refused, _: Form) -> Result<Self::Response, S::Error> {
        Err(refused.into())
    }
}

impl<C, H> fmt::Debug for TypedWay<C, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedWay").finish_non_exhaustive()
    }
}
