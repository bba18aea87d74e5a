use crate::body::FallbackBody;
use crate::failure::{Degraded, Failure, FallbackError};
use crate::give::{Give, Nothing};
use crate::key::{Keep, KeepHead, NoKey};
use crate::on::{FallbackOn, Signs};
use crate::reply::Substitute;
use crate::way::{Begun, Way};
use bartizan_core::{Attempt, Classify, Context, Step, Verdict};
use bartizan_http::bytes::Bytes;
use bartizan_http::http::{Method, Request, Response};
use bartizan_http::http_body::Body;
use bartizan_http::{Form, Head, HttpClassifier, is_grpc};
use std::fmt;
use std::sync::Arc;
use tower::Service;

type Rule = dyn Fn(&Head<'_>) -> bool + Send + Sync;

/// The way of HTTP and gRPC requests.
#[derive(Clone)]
pub struct HttpWay<F = Nothing, G = NoKey, C = HttpClassifier> {
    pub(crate) give: F,
    pub(crate) key: G,
    pub(crate) classify: C,
    /// What reads, beside the safe methods.
    pub(crate) reads: Option<Arc<Rule>>,
}

impl<F, G, C> fmt::Debug for HttpWay<F, G, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpWay").field("reads", &self.reads.is_some()).finish_non_exhaustive()
    }
}

impl<S, B, RB, F, G, C> Way<S, Request<B>> for HttpWay<F, G, C>
where
    S: Service<Request<B>, Response = Response<RB>>,
    S::Error: Send + Sync + 'static,
    RB: Body<Data = Bytes>,
    F: Give<<G as Keep>::Key, Substitute<RB>, S::Error>,
    G: KeepHead,
    C: Classify<Request<B>>,
    C::Attempt: Attempt<Response<RB>, S::Error>,
{
    type Response = Response<FallbackBody<RB>>;
    type Key = G::Key;
    type Given = Substitute<RB>;
    type Give = F;
    type Attempt = C::Attempt;

    #[inline]
    fn give(&self) -> &F {
        &self.give
    }

    /// gRPC calls are all `POST`.
    #[inline]
    fn is_read(&self, req: &Request<B>) -> bool {
        is_safe(req.method()) || self.reads.as_ref().is_some_and(|reads| reads(&Head::of(req)))
    }

    #[inline]
    fn begin(&self, req: &Request<B>) -> Begun<C::Attempt, G::Key> {
        // Safe methods are none of gRPC.
        let is_grpc = !is_safe(req.method()) && is_grpc(req.headers());
        let context = if F::LATER { req.extensions().get::<Context>().copied() } else { None };
        Begun {
            attempt: self.classify.start(req),
            key: self.key.of_head(&Head::of(req)),
            form: Form::known(req.method(), is_grpc),
            context,
        }
    }

    #[inline]
    fn judge(attempt: C::Attempt, answer: &Result<Response<RB>, S::Error>) -> Verdict {
        match attempt.classify(answer.as_ref()) {
            Step::Done(verdict) => verdict,
            Step::AtEnd(_) => Verdict::Success,
        }
    }

    fn fails(on: &FallbackOn, verdict: Verdict, answer: &Result<Response<RB>, S::Error>) -> bool {
        match answer {
            Ok(response) => on.matches(verdict, &Signs::of_response(response)),
            Err(error) => on.matches(verdict, &Signs::of_error(error)),
        }
    }

    fn failure(answer: Result<Response<RB>, S::Error>) -> (Failure, Option<Response<RB>>) {
        match answer {
            Ok(response) => (Failure::of_response(&response), Some(response)),
            Err(error) => (Failure::of_error(error), None),
        }
    }

    fn error(failure: Failure) -> S::Error {
        failure.into_error().expect("a failure without an answer is an error")
    }

    fn join(error: S::Error, failure: Arc<Failure>) -> S::Error {
        FallbackError::join(error, failure)
    }

    #[inline]
    fn pass(answer: Response<RB>) -> Self::Response {
        answer.map(FallbackBody::inner)
    }

    fn replace(given: Substitute<RB>, failure: Arc<Failure>, form: Form) -> Self::Response {
        let mut response = match given {
            Substitute::Other(response) => response.map(FallbackBody::inner),
            Substitute::Own(reply) => {
                let (response, trailers) = reply.fit(form, &failure).into_parts();
                response.map(|data| FallbackBody::own(data, trailers))
            }
        };
        response.extensions_mut().insert(Degraded::new(failure));
        response
    }
}

/// Whether a method only reads (RFC 9110 §9.2.1). Not by [`Method::is_safe`], which knows more of them from one version to the next.
#[inline]
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}
