//! The future of a [`FallbackService`](crate::FallbackService). Dropped before it is done, it drops the inner future, or the asynchronous
//! function that is under way, and gives back its place.

use crate::held::Tie;
use crate::later::Later;
use crate::lost::Lost;
use crate::shared::Flags;
use crate::way::{Begun, Way};
use bartizan_core::Verdict;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::Service;

pin_project! {
    /// Future of a [`FallbackService`](crate::FallbackService).
    // What follows a failure is elsewhere: while nothing outside of the caller's sight knows this future, a good call can be made within
    // registers.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<S: Service<Req>, W: Way<S, Req>, Req> {
        #[pin]
        called: Option<S::Future>,
        kept: Option<Kept<S, W, Req>>,
        later: Option<Pin<Box<Later<S, W, Req>>>>,
    }
}

/// What is kept of a call that can get a fallback.
pub(crate) struct Kept<S: Service<Req>, W: Way<S, Req>, Req> {
    pub(crate) begun: Begun<W::Attempt, W::Key>,
    pub(crate) tie: Tie<W, W::Give>,
    pub(crate) flags: Flags,
}

/// An answer as it comes.
pub(crate) type Heard<S, Req> = Result<<S as Service<Req>>::Response, <S as Service<Req>>::Error>;

/// An answer as it goes out.
pub(crate) type Answer<S, W, Req> = Result<<W as Way<S, Req>>::Response, <S as Service<Req>>::Error>;

const DONE: &str = "a fallback's future is not polled after it is done";

impl<S: Service<Req>, W: Way<S, Req>, Req> ResponseFuture<S, W, Req> {
    #[inline(always)]
    pub(crate) const fn called(future: S::Future, kept: Option<Kept<S, W, Req>>) -> Self {
        Self { called: Some(future), kept, later: None }
    }

    #[inline(always)]
    pub(crate) const fn later(later: Pin<Box<Later<S, W, Req>>>) -> Self {
        Self { called: None, kept: None, later: Some(later) }
    }
}

impl<S: Service<Req>, W: Way<S, Req>, Req> Kept<S, W, Req> {
    /// Judges how the call ended. An answer goes out as it is, or something is lost.
    #[inline(always)]
    pub(crate) fn judge(self, heard: Heard<S, Req>) -> Result<Answer<S, W, Req>, Lost<S, W, Req>> {
        let Self { begun, tie, flags } = self;
        let verdict = W::judge(begun.attempt, &heard);
        if verdict == Verdict::Success && !flags.has(Flags::LOOKS) {
            if let Some(shared) = tie.shared() {
                shared.went_well();
            }
            return Ok(heard.map(W::pass));
        }
        let Begun { key, form, context, .. } = begun;
        Err(Lost { verdict, heard, tie, flags, key, form, context })
    }
}

impl<S: Service<Req>, W: Way<S, Req>, Req> Future for ResponseFuture<S, W, Req> {
    type Output = Answer<S, W, Req>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(later) = this.later {
            return later.as_mut().poll(cx);
        }
        let heard = ready!(this.called.as_mut().as_pin_mut().expect(DONE).poll(cx));
        let Some(kept) = this.kept.take() else { return Poll::Ready(heard.map(W::pass)) };
        let lost = match kept.judge(heard) {
            Ok(answer) => return Poll::Ready(answer),
            Err(lost) => lost,
        };
        // What it holds, it holds until it is dropped.
        this.called.set(None);
        match lost.replace() {
            Err(answer) => Poll::Ready(answer),
            Ok(later) => this.later.insert(Box::pin(later)).as_mut().poll(cx),
        }
    }
}

impl<S: Service<Req>, W: Way<S, Req>, Req> fmt::Debug for ResponseFuture<S, W, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("later", &self.later.is_some()).finish_non_exhaustive()
    }
}
