//! A call whose first attempt has failed.

use crate::course::{Course, Failure, Next, Why};
use crate::events;
use crate::future::Call;
use crate::retry::MaxRetries;
use bartizan_again::{Heard, Way};
use bartizan_core::{Context, Instant, Token, Verdict};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

pin_project! {
    pub(crate) struct Later<S, W: Way<S, Req>, Req> {
        #[pin]
        stage: Stage<W::Try, W::Sent>,
        service: S,
        call: Call<S, W, Req>,
        course: Course,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<T, Q> {
        Waiting { again: Option<Again<Q>> },
        Trying { #[pin] attempt: T },
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

type Answer<S, W, Req> = Result<<W as Way<S, Req>>::Response, <W as Way<S, Req>>::Error>;

impl<S: Clone, W: Way<S, Req>, Req> Later<S, W, Req> {
    /// Decides what follows the first attempt: another one, or its answer.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin(
        call: Call<S, W, Req>,
        heard: Heard<W::Response, W::Error>,
    ) -> Result<Pin<Box<Self>>, Answer<S, W, Req>> {
        let settings = call.spare.settings();
        // It may have been switched off since the call began.
        let on = settings.enabled;
        let mut course = Course::new(settings);
        let decided = if on { call.after(&mut course, &heard) } else { Err(Why::NotAsked) };
        match decided {
            Ok(again) => {
                let service = call.spare.service();
                Ok(Box::pin(Self { stage: Stage::Waiting { again: Some(again) }, service, call, course }))
            }
            Err(why) => {
                call.end(why, heard.verdict);
                Err(heard.answer)
            }
        }
    }
}

impl<S, W: Way<S, Req>, Req> Later<S, W, Req> {
    pub(crate) const fn attempt(&self) -> u32 {
        self.course.attempt()
    }
}

impl<S, W: Way<S, Req>, Req> Future for Later<S, W, Req> {
    type Output = Answer<S, W, Req>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProj::Waiting { again } => {
                    match ready!(this.call.poll_again(again, this.service, this.course, cx)) {
                        Ok(attempt) => this.stage.set(Stage::Trying { attempt }),
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                StageProj::Trying { attempt } => {
                    let (call, course) = (&*this.call, &mut *this.course);
                    let poll = || call.way.poll_try(attempt, call.kept.as_ref(), cx);
                    let heard = ready!(within(course.context, poll));
                    if heard.verdict == Verdict::Success && call.has_succeeded() {
                        call.spare.counts.recovered();
                        return Poll::Ready(heard.answer);
                    }
                    let again = match call.after(course, &heard) {
                        Ok(again) => again,
                        Err(why) => {
                            if call.end(why, heard.verdict) {
                                call.spare.counts.recovered();
                            }
                            return Poll::Ready(heard.answer);
                        }
                    };
                    // The answer goes first: its body holds what it holds until it is dropped.
                    drop(heard);
                    this.stage.set(Stage::Waiting { again: Some(again) });
                }
            }
        }
    }
}

impl<S, W: Way<S, Req>, Req> Call<S, W, Req> {
    /// Decides what follows an attempt, and makes it ready.
    fn after(
        &self,
        course: &mut Course,
        heard: &Heard<W::Response, W::Error>,
    ) -> Result<Again<W::Sent>, Why> {
        let first = course.context.is_none();
        // Within a later attempt the ambient context is that of this call.
        let kept = self.kept.as_ref().filter(|kept| !first || W::is_first(kept)).ok_or(Why::NotAsked)?;
        let now = Instant::now();
        if W::is_spoilt(kept) {
            return Err(Why::NotRepeatable);
        }
        let given = W::context(kept);
        let mut signs = W::signs(&heard.answer);
        let repeatable = self.way.repeatable(kept);
        signs.never_arrived &= signs.own || repeatable || W::is_untouched(kept);
        let failure = Failure {
            verdict: heard.verdict,
            signs: &signs,
            asked: W::asked(kept),
            repeatable,
            deadline: given.and_then(|context| context.deadline()),
            max_retries: W::extension::<MaxRetries>(kept).map(|most| most.0),
            now,
            spent: self.began.map(|began| now.saturating_duration_since(began)),
        };
        let purse = &self.spare.purse;
        let decided = course.next(&failure, &self.spare.dice).and_then(|next| {
            course.failed_at(self.endpoint);
            let sent = self.way.copy(kept, course.attempt(), course.avoid()).ok_or(Why::TooLarge)?;
            Ok((next, sent))
        });
        let (next, sent) = decided.inspect_err(|why| {
            if why.is_want() {
                purse.fail(now);
            }
        })?;
        let (wait, token) = match next {
            Next::Resend => (None, None),
            Next::Wait(wait) => (Some(wait), None),
            Next::Retry(wait) => {
                let token = purse.withdraw(now);
                self.spare.paid(token.is_some());
                (Some(wait), Some(token.ok_or(Why::Budget)?))
            }
        };
        let attempt = course.attempt();
        course.context = (attempt > 0).then(|| given.unwrap_or_default().with_attempt(attempt));
        events::again(self.spare.name(), attempt, wait.unwrap_or_default());
        let pause = match wait {
            None => Pause::Over,
            Some(Duration::ZERO) => Pause::Yield,
            Some(wait) => Pause::Sleep(Box::pin(tokio::time::sleep(wait))),
        };
        Ok(Again { pause, sent, token, next })
    }

    /// Counts why there is no further try, and says whether the answer is a good one, which was only looked at.
    fn end(&self, why: Why, verdict: Verdict) -> bool {
        let good = verdict == Verdict::Success;
        if good {
            self.spare.purse.deposit();
        } else {
            self.spare.counts.ended(why);
        }
        good
    }

    /// Waits, makes the inner service ready, and calls it.
    fn poll_again(
        &mut self,
        again: &mut Option<Again<W::Sent>>,
        service: &mut S,
        course: &Course,
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
        if let Err(error) = ready!(W::poll_ready(service, cx)) {
            // The token goes back now, and not when somebody drops the future.
            *again = None;
            return Poll::Ready(Err(error));
        }
        let Again { sent, token, next, .. } = again.take().expect("it was there a moment ago");
        if let Some(token) = token {
            token.spend();
        }
        self.spare.counts.again(next);
        let (attempt, endpoint) = within(course.context, || self.way.send(service, sent));
        self.endpoint = endpoint;
        Poll::Ready(Ok(attempt))
    }
}

/// Runs a step within the context of an attempt that is not the first.
fn within<R>(context: Option<Context>, step: impl FnOnce() -> R) -> R {
    match context {
        Some(context) => context.enter(step),
        None => step(),
    }
}
