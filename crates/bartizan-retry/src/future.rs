//! The future of a [`RetryService`](crate::RetryService). Dropped before it is done, it drops the attempt under way and its timer, and
//! a token that was not spent goes back.

use crate::later::Later;
use crate::shared::{Flags, Shared};
use bartizan_again::{Spare, Way};
use bartizan_core::{Endpoint, Instant, Verdict};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Future of a [`RetryService`](crate::RetryService).
    // What follows a first failure is elsewhere: while nothing outside of the caller's sight knows this future, a good call can be
    // made within registers.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<S, W: Way<S, Req>, Req> {
        #[pin]
        first: Option<W::Try>,
        call: Option<Call<S, W, Req>>,
        later: Option<Pin<Box<Later<S, W, Req>>>>,
    }
}

const DONE: &str = "a retry's future is not polled after it is done";

/// One call, whatever its attempts.
pub(crate) struct Call<S, W: Way<S, Req>, Req> {
    pub(crate) spare: Arc<Spare<S, Shared>>,
    pub(crate) way: W,
    pub(crate) kept: Option<W::Kept>,
    /// Where the last attempt went.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) began: Option<Instant>,
}

impl<S, W: Way<S, Req>, Req> ResponseFuture<S, W, Req> {
    #[inline(always)]
    pub(crate) const fn new(attempt: W::Try, call: Call<S, W, Req>) -> Self {
        Self { first: Some(attempt), call: Some(call), later: None }
    }
}

impl<S: Clone, W: Way<S, Req>, Req> Future for ResponseFuture<S, W, Req> {
    type Output = Result<W::Response, W::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(later) = this.later {
            return later.as_mut().poll(cx);
        }
        let (first, call) = this.first.as_mut().as_pin_mut().zip(this.call.as_ref()).expect(DONE);
        let heard = ready!(call.way.poll_try(first, call.kept.as_ref(), cx));
        if heard.verdict == Verdict::Success && call.has_succeeded() {
            return Poll::Ready(heard.answer);
        }
        // What it holds, it holds until it is dropped.
        this.first.set(None);
        match Later::begin(this.call.take().expect(DONE), heard) {
            Err(answer) => Poll::Ready(answer),
            Ok(later) => this.later.insert(later).as_mut().poll(cx),
        }
    }
}

impl<S, W: Way<S, Req>, Req> Call<S, W, Req> {
    /// Hears of a success. False if it has to be looked at whether it is one.
    #[inline(always)]
    pub(crate) fn has_succeeded(&self) -> bool {
        let flags = self.spare.flags();
        if flags.has(Flags::LOOKS) && self.kept.is_some() {
            return false;
        }
        if flags.has(Flags::ENABLED) {
            self.spare.purse.deposit();
        }
        true
    }
}

impl<S, W: Way<S, Req>, Req> fmt::Debug for ResponseFuture<S, W, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempt = self.later.as_ref().map_or(0, |later| later.attempt());
        f.debug_struct("ResponseFuture").field("attempt", &attempt).finish_non_exhaustive()
    }
}
