use bartizan_core::Instant;
use pin_project_lite::pin_project;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::task::coop::unconstrained;
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
        // An inner future that spends the task's whole budget each time would keep the timer from ever being looked at.
        sleep.as_pin_mut().map_or(Poll::Pending, |sleep| pin!(unconstrained(sleep)).poll(cx))
    }
}
