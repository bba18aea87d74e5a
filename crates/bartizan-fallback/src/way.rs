use crate::failure::Failure;
use crate::give::Give;
use crate::on::FallbackOn;
use bartizan_core::{Context, Verdict};
use bartizan_http::Form;
use std::sync::Arc;
use tower::Service;

/// All that the layer must know of the kind of requests that go through it.
///
/// There are two: [`HttpWay`](crate::HttpWay), for `http::Request` of any body, and [`TypedWay`](crate::TypedWay), for everything else.
pub trait Way<S: Service<Req>, Req>: Send + Sync + 'static {
    /// The answer as it is passed on.
    type Response;
    /// What is kept of a request.
    type Key;
    /// What is given in place of a failure, before it is an answer.
    type Given;
    /// What gives it.
    type Give: Give<Self::Key, Self::Given, S::Error>;
    /// What finds the verdict of a call.
    type Attempt;

    /// What gives something in place of a failure.
    fn give(&self) -> &Self::Give;

    /// Whether the request only reads.
    fn is_read(&self, req: &Req) -> bool;

    /// Looks at a request that is about to be sent.
    fn begin(&self, req: &Req) -> Begun<Self::Attempt, Self::Key>;

    /// Judges how a call ended.
    fn judge(attempt: Self::Attempt, answer: &Result<S::Response, S::Error>) -> Verdict;

    /// Whether a call ended in one of these ways.
    fn fails(on: &FallbackOn, verdict: Verdict, answer: &Result<S::Response, S::Error>) -> bool;

    /// Makes the failure that a call ended in. Of an error nothing else is left.
    fn failure(answer: Result<S::Response, S::Error>) -> (Failure, Option<S::Response>);

    /// Takes the error out of the failure that it is.
    fn error(failure: Failure) -> S::Error;

    /// Puts the failure behind the error of a fallback that has failed as well, if that can carry it.
    fn join(error: S::Error, failure: Arc<Failure>) -> S::Error;

    /// Passes an answer of the inner service on.
    fn pass(answer: S::Response) -> Self::Response;

    /// Makes the answer in place of a failure, marked as one.
    fn replace(given: Self::Given, failure: Arc<Failure>, form: Form) -> Self::Response;
}

/// What is kept of a request while it is under way.
#[derive(Debug)]
pub struct Begun<A, K> {
    pub(crate) attempt: A,
    pub(crate) key: K,
    pub(crate) form: Form,
    /// The context that the request brings along itself.
    pub(crate) context: Option<Context>,
}
