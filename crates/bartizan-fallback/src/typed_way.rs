use crate::failure::{Failure, FallbackError};
use crate::give::{Give, Nothing};
use crate::key::{Keep, KeepOf, NoKey};
use crate::on::{FallbackOn, Outcome, Signs};
use crate::way::{Begun, Way};
use bartizan_core::{Attempt, Classify, ErrorsFail, Step, Verdict};
use bartizan_http::Form;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use tower::Service;

/// The way of requests of any type, of which a function says whether one only reads.
#[derive(Clone)]
pub struct TypedWay<P, F = Nothing, G = NoKey, C = ErrorsFail> {
    pub(crate) reads: P,
    pub(crate) give: F,
    pub(crate) key: G,
    pub(crate) classify: C,
}

impl<P, F, G, C> fmt::Debug for TypedWay<P, F, G, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedWay(..)")
    }
}

impl<S, Req, P, F, G, C> Way<S, Req> for TypedWay<P, F, G, C>
where
    S: Service<Req>,
    S::Error: Send + Sync + 'static,
    P: Fn(&Req) -> bool + Send + Sync + 'static,
    F: Give<<G as Keep>::Key, S::Response, S::Error>,
    G: KeepOf<Req>,
    C: Classify<Req>,
    C::Attempt: Attempt<S::Response, S::Error, AtEnd = Infallible>,
{
    type Response = S::Response;
    type Key = G::Key;
    type Given = S::Response;
    type Give = F;
    type Attempt = C::Attempt;

    #[inline(always)]
    fn give(&self) -> &F {
        &self.give
    }

    #[inline(always)]
    fn is_read(&self, req: &Req) -> bool {
        (self.reads)(req)
    }

    #[inline(always)]
    fn begin(&self, req: &Req) -> Begun<C::Attempt, G::Key> {
        Begun { attempt: self.classify.start(req), key: self.key.of(req), form: Form::Http, context: None }
    }

    #[inline(always)]
    fn judge(attempt: C::Attempt, answer: &Result<S::Response, S::Error>) -> Verdict {
        let Step::Done(verdict) = attempt.classify(answer.as_ref());
        verdict
    }

    fn fails(on: &FallbackOn, verdict: Verdict, answer: &Result<S::Response, S::Error>) -> bool {
        match answer {
            Ok(_) => on.matches(verdict, &Signs { outcome: Outcome::Answer, refused: None }),
            Err(error) => on.matches(verdict, &Signs::of_error(error)),
        }
    }

    fn failure(answer: Result<S::Response, S::Error>) -> (Failure, Option<S::Response>) {
        match answer {
            Ok(answer) => (Failure::of_answer(), Some(answer)),
            Err(error) => (Failure::of_error(error), None),
        }
    }

    fn error(failure: Failure) -> S::Error {
        failure.into_error().expect("a failure without an answer is an error")
    }

    fn join(error: S::Error, failure: Arc<Failure>) -> S::Error {
        FallbackError::join(error, failure)
    }

    #[inline(always)]
    fn pass(answer: S::Response) -> S::Response {
        answer
    }

    fn replace(given: S::Response, _: Arc<Failure>, _: Form) -> S::Response {
        given
    }
}
