use crate::signs::Signs;
use bartizan_core::{Avoid, Context, Endpoint, Verdict};
use bartizan_http::ReplayLimit;
use std::pin::Pin;
use std::task::{self, Poll};

/// How requests are sent more than once: all that a layer that does so must know of their kind.
///
/// There are two, and a layer takes either: [`HttpWay`](crate::HttpWay), which copies the head of a request and
/// [replays](bartizan_http::Replay) its body, and [`TypedWay`](crate::TypedWay), which asks a function of the user's for copies.
pub trait Way<S, Req>: Clone + Send + Sync + 'static {
    /// What the inner service is called with.
    type Sent;
    /// What copies of a request are made of.
    type Kept;
    /// The answer as it is passed on.
    type Response;
    /// The error of the inner service.
    type Error: 'static;
    /// One attempt, from its call to the point from which there is no way back: the head of the answer, or over gRPC the first frame
    /// of its body.
    type Try;

    /// Polls the inner service for readiness.
    fn poll_ready(service: &mut S, cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>>;

    /// Makes a request ready to be sent first. What copies can be made of comes with it, if any can and it is wanted.
    fn keep(&self, req: Req, limit: &ReplayLimit, keep: Keep) -> (Self::Sent, Option<Self::Kept>);

    /// Whether the request is no [later attempt](bartizan_core::Context::attempt) of a tier above: one tier alone sends again. Asked while
    /// the request is being served.
    fn is_first(kept: &Self::Kept) -> bool;

    /// Whether the request may be sent again though it may have had its effect.
    fn repeatable(&self, kept: &Self::Kept) -> bool;

    /// Makes a copy, which says which attempt it is and where it should not go. `None` where none can be made any more.
    fn copy(&self, kept: &Self::Kept, attempt: u32, avoid: Avoid) -> Option<Self::Sent>;

    /// Calls the inner service, which was found ready. Says which endpoint was picked, if one said so.
    fn send(&self, service: &mut S, sent: Self::Sent) -> (Self::Try, Option<Endpoint>);

    /// Polls an attempt for its answer.
    fn poll_try(
        &self,
        attempt: Pin<&mut Self::Try>,
        kept: Option<&Self::Kept>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Heard<Self::Response, Self::Error>>;

    /// Reads what an answer says about sending the request again.
    fn signs(answer: &Result<Self::Response, Self::Error>) -> Signs;

    /// Leaves something in the extensions of a copy, where it has any.
    fn mark<T: Clone + Send + Sync + 'static>(sent: &mut Self::Sent, say: T);

    /// Leaves something in the extensions of an answer, where it has any.
    fn tell<T: Clone + Send + Sync + 'static>(answer: &mut Self::Response, say: T);

    /// The context of the request: as it was when it was sent, or where that is not kept, as it is now.
    fn context(kept: &Self::Kept) -> Option<Context>;

    /// Whether it is certain that no part of the request was sent, whatever the errors of its client are about.
    fn is_untouched(kept: &Self::Kept) -> bool;

    /// Whether the request's own body has failed: then it cannot be sent, and nobody else is to blame.
    fn is_spoilt(kept: &Self::Kept) -> bool;

    /// Finds an extension of the request.
    fn extension<T: Clone + Send + Sync + 'static>(kept: &Self::Kept) -> Option<T>;

    /// The answers on which the request itself asks to be sent again: see [`RETRY_ON`](crate::RETRY_ON).
    fn asked(kept: &Self::Kept) -> &[u16];
}

/// Of which requests to keep what copies are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Of none: the layer is switched off.
    Nothing,
    /// Of those that are [repeatable](Way::repeatable).
    Repeatable,
    /// Of all.
    All,
}

/// The answer to an attempt, and the verdict on it.
#[derive(Debug)]
pub struct Heard<R, E> {
    /// The answer, or the error of the inner service.
    pub answer: Result<R, E>,
    /// What the classifier says of it.
    pub verdict: Verdict,
}
