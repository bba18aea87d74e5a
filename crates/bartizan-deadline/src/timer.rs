use crate::span::Span;
use bartizan_core::Instant;
use pin_project_lite::pin_project;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Poll};
use tokio::task::coop::{has_budget_remaining, unconstrained};
use tokio::time::{Sleep, sleep_until};

pin_project! {
    /// A timer that does not exist before it is first needed.
    #[derive(Debug)]
    pub(crate) struct Timer {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self { sleep: None }
    }

    /// When it is set to.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.sleep.as_ref().map(Sleep::deadline)
    }

    /// Ready once `at` has come, else the task will be woken then.
    pub(crate) fn poll(self: Pin<&mut Self>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleep = self.project().sleep;
        match sleep.as_mut().as_pin_mut() {
            Some(sleep) if sleep.deadline() == at => {}
            Some(sleep) => sleep.reset(at),
            None => sleep.set(Some(sleep_until(at))),
        }
        poll_set(sleep, cx)
    }

    /// As [`poll`](Self::poll), for the instant that lies so long after the first call of this.
    #[inline(always)]
    pub(crate) fn poll_after(self: Pin<&mut Self>, span: Span, cx: &mut Context<'_>) -> Poll<()> {
        static ANY: OnceLock<Instant> = OnceLock::new();
        let mut sleep = self.project().sleep;
        if sleep.is_some() {
            return poll_set(sleep, cx);
        }
        // Made before the clock is read and moved into place after it: if it were moved as soon as it is made, the
        // processor would wait until what was written in parts can be read as a whole.
        let made = sleep_until(*ANY.get_or_init(Instant::now));
        let Some(at) = span.after(Instant::now()) else { return Poll::Pending };
        sleep.set(Some(made));
        let Some(mut sleep) = sleep.as_pin_mut() else { return Poll::Pending };
        sleep.as_mut().reset(at);
        sleep.poll(cx)
    }
}

/// The timer of a body, which few bodies need: one word long until then, and no burden to those that pass it on.
#[derive(Debug)]
pub(crate) struct LateTimer(Option<Pin<Box<Timer>>>);

impl LateTimer {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// When it is set to.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.0.as_ref().and_then(|timer| timer.at())
    }

    /// Ready once `at` has come, else the task will be woken then.
    pub(crate) fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_or_insert_with(|| Box::pin(Timer::new())).as_mut().poll(at, cx)
    }
}

fn poll_set(sleep: Pin<&mut Option<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
    match sleep.as_pin_mut() {
        // An inner future that spends the task's whole budget each time would keep the timer from ever being looked at.
        Some(sleep) if !has_budget_remaining() => pin!(unconstrained(sleep)).poll(cx),
        Some(sleep) => sleep.poll(cx),
        None => Poll::Pending,
    }
}
