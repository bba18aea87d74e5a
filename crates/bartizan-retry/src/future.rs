//! The future of a [`RetryService`](crate::RetryService). Dropped before it is done, it drops the attempt under way and its timer, and
//! a token that was not spent goes back.

use crate::course::{Course, Failure, Next, Why};
use crate::events;
use crate::retry::MaxRetries;
use crate::shared::{Flags, Shared};
use bartizan_again::{Heard, Way};
use bartizan_core::{Context, Endpoint, Instant, Token, Verdict};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

pin_project! {
    /// Future of a [`RetryService`](crate::RetryService).
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<S, W: Way<S, Req>, Req> {
        #[pin]
        stage: Stage<W::Try, W::Sent>,
        call: Call<S, W, Req>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<T, Q> {
        Trying { #[pin] attempt: T },
        Waiting { again: Option<Box<Again<Q>>> },
    }
}

/// A try that has not begun.
struct Again<Q> {
    pause: Pause,
    sent: Q,
    token: Option<Token>,
    next: Next,
}

/// What is waited for before the inner service is asked whether it is ready.
enum Pause {
    Sleep(Pin<Box<Sleep>>),
    /// No timer, but other tasks have their turn first.
    Yield,
    Over,
}

/// One call, whatever its attempts.
struct Call<S, W: Way<S, Req>, Req> {
    service: S,
    way: W,
    shared: Arc<Shared>,
    kept: Option<W::Kept>,
    /// Where the attempt under way went.
    endpoint: Option<Endpoint>,
    began: Option<Instant>,
    /// None before the first failure.
    course: Option<Box<Course>>,
}

impl<S, W: Way<S, Req>, Req> ResponseFuture<S, W, Req> {
    #[inline(always)]
    pub(crate) fn new(
        attempt: W::Try,
        endpoint: Option<Endpoint>,
        service: S,
        way: W,
        shared: Arc<Shared>,
        kept: Option<W::Kept>,
        began: Option<Instant>,
    ) -> Self {
        let call = Call { service, way, shared, kept, endpoint, began, course: None };
        Self { stage: Stage::Trying { attempt }, call }
    }
}

impl<S, W: Way<S, Req>, Req> Future for ResponseFuture<S, W, Req> {
    type Output = Result<W::Response, W::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProj::Trying { attempt } => {
                    let heard = ready!(this.call.poll_try(attempt, cx));
                    if heard.verdict == Verdict::Success && this.call.is_over() {
                        return Poll::Ready(heard.answer);
                    }
                    let again = match this.call.after(&heard) {
                        Ok(again) => again,
                        Err(why) => {
                            this.call.end(why);
                            return Poll::Ready(heard.answer);
                        }
                    };
                    // The answer goes first: its body holds what it holds until it is dropped.
                    drop(heard);
                    this.stage.set(Stage::Waiting { again: Some(again) });
                }
                StageProj::Waiting { again } => {
                    let attempt = ready!(this.call.poll_again(again, cx));
                    match attempt {
                        Ok(attempt) => this.stage.set(Stage::Trying { attempt }),
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }
}

impl<S, W: Way<S, Req>, Req> Call<S, W, Req> {
    #[inline(always)]
    fn poll_try(
        &self,
        attempt: Pin<&mut W::Try>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Heard<W::Response, W::Error>> {
        let kept = self.kept.as_ref();
        match &self.course {
            None => self.way.poll_try(attempt, kept, cx),
            Some(course) => within(course.context, || self.way.poll_try(attempt, kept, cx)),
        }
    }

    /// Hears of a success, and says whether it is one whatever the answer says.
    #[inline(always)]
    fn is_over(&self) -> bool {
        let flags = self.shared.flags();
        if flags.has(Flags::LOOKS) && self.kept.is_some() {
            return false;
        }
        self.succeeded(flags);
        true
    }

    #[inline(always)]
    fn succeeded(&self, flags: Flags) {
        if flags.has(Flags::ENABLED) {
            self.shared.purse.deposit();
        }
        if self.course.is_some() {
            self.shared.counts.recovered();
        }
    }

    /// Decides what follows an attempt, and makes it ready.
    #[cold]
    fn after(&mut self, heard: &Heard<W::Response, W::Error>) -> Result<Box<Again<W::Sent>>, Option<Why>> {
        let Some(kept) = &self.kept else {
            if heard.verdict == Verdict::Success {
                self.succeeded(self.shared.flags());
            }
            return Err(None);
        };
        let now = Instant::now();
        let given = W::extension::<Context>(kept).or_else(Context::current);
        let failure = Failure {
            verdict: heard.verdict,
            signs: &W::signs(&heard.answer),
            asked: W::asked(kept),
            repeatable: self.way.repeatable(kept),
            deadline: given.and_then(|context| context.deadline()),
            max_retries: W::extension::<MaxRetries>(kept).map(|most| most.0),
            now,
            spent: self.began.map(|began| now.saturating_duration_since(began)),
        };
        let shared = &*self.shared;
        // A good answer that was looked at in vain is no failure, and begins no course.
        let fresh = self.course.is_none();
        let course = self.course.get_or_insert_with(|| Box::new(Course::new(shared.settings())));
        let decided = course.next(&failure, &shared.dice).and_then(|next| {
            course.failed_at(self.endpoint);
            let sent = self.way.copy(kept, course.attempt(), course.avoid()).ok_or(Why::TooLarge)?;
            Ok((next, sent))
        });
        let (next, sent) = match decided {
            Ok(again) => again,
            Err(why) => {
                if fresh {
                    self.course = None;
                }
                if heard.verdict == Verdict::Success {
                    self.succeeded(self.shared.flags());
                    return Err(None);
                }
                if why.is_want() {
                    shared.purse.fail(now);
                }
                return Err(Some(why));
            }
        };
        let (wait, token) = match next {
            Next::Resend => (None, None),
            Next::Wait(wait) => (Some(wait), None),
            Next::Retry(wait) => (Some(wait), Some(shared.purse.withdraw(now).ok_or(Some(Why::Budget))?)),
        };
        let attempt = course.attempt();
        course.context = (attempt > 0).then(|| given.unwrap_or_default().with_attempt(attempt));
        events::again(shared.name(), attempt, wait.unwrap_or_default());
        let pause = match wait {
            None => Pause::Over,
            Some(Duration::ZERO) => Pause::Yield,
            Some(wait) => Pause::Sleep(Box::pin(tokio::time::sleep(wait))),
        };
        Ok(Box::new(Again { pause, sent, token, next }))
    }

    /// Waits, makes the inner service ready, and calls it.
    #[cold]
    fn poll_again(
        &mut self,
        again: &mut Option<Box<Again<W::Sent>>>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<W::Try, W::Error>> {
        let waiting = again.as_mut().expect("a retry's future is not polled after it is done");
        match &mut waiting.pause {
            Pause::Sleep(sleep) => ready!(sleep.as_mut().poll(cx)),
            Pause::Yield => {
                waiting.pause = Pause::Over;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Pause::Over => {}
        }
        waiting.pause = Pause::Over;
        if let Err(error) = ready!(W::poll_ready(&mut self.service, cx)) {
            // The token goes back now, and not when somebody drops the future.
            *again = None;
            return Poll::Ready(Err(error));
        }
        let Again { sent, token, next, .. } = *again.take().expect("it was there a moment ago");
        if let Some(token) = token {
            token.spend();
        }
        self.shared.counts.again(next);
        let context = self.course.as_ref().and_then(|course| course.context);
        let (attempt, endpoint) = within(context, || self.way.send(&mut self.service, sent));
        self.endpoint = endpoint;
        Poll::Ready(Ok(attempt))
    }

    fn end(&mut self, why: Option<Why>) {
        if let Some(why) = why {
            self.shared.counts.ended(why);
        }
    }
}

/// Runs a step within the context of an attempt that is not the first.
fn within<R>(context: Option<Context>, step: impl FnOnce() -> R) -> R {
    match context {
        Some(context) => context.enter(step),
        None => step(),
    }
}

impl<S, W: Way<S, Req>, Req> fmt::Debug for ResponseFuture<S, W, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempt = self.call.course.as_ref().map_or(0, |course| course.attempt());
        f.debug_struct("ResponseFuture").field("attempt", &attempt).finish_non_exhaustive()
    }
}
