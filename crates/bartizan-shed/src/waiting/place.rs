use super::Came;
use crate::denial::{Denial, Why};
use crate::line::Key;
use crate::permit::Ticket;
use crate::shared::{Asked, Shared};
use crate::sync::{Mutex, PoisonError};
use bartizan_core::{Instant, Refusing};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::time::{Sleep, sleep_until};

/// A place in the queue of a layer. It is given back by being dropped.
///
/// # Cancel safety
///
/// Dropped when its turn has come, it passes it on.
pub struct Place {
    shared: Arc<Shared>,
    key: Key,
    turn: Arc<Mutex<Came>>,
    asked: Asked,
    since: Instant,
    /// Until when it waits, and why it is refused then.
    until: Option<Instant>,
    why: Why,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Place {
    pub(super) fn new(
        shared: Arc<Shared>,
        key: Key,
        turn: Arc<Mutex<Came>>,
        asked: Asked,
        since: Instant,
    ) -> Self {
        Self { shared, key, turn, asked, since, until: None, why: Why::TooLong, timer: None }
    }

    /// Sets when its patience ends, and when its deadline is.
    pub(super) fn until(mut self, end: Option<Instant>, deadline: Option<Instant>) -> Self {
        (self.until, self.why) = match (end, deadline) {
            (Some(end), Some(deadline)) if deadline < end => (Some(deadline), Why::Late),
            (None, Some(deadline)) => (Some(deadline), Why::Late),
            (end, _) => (end, Why::TooLong),
        };
        self
    }

    /// Takes what has come of it; else leaves word whom to wake.
    fn take(&self, waker: Option<&Waker>) -> Option<Result<Ticket, Denial>> {
        let mut came = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *came {
            Came::Nothing(known) => {
                let waker = waker?;
                if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
                    *known = Some(waker.clone());
                }
                None
            }
            Came::Taken => None,
            Came::Outcome(_) => match std::mem::replace(&mut *came, Came::Taken) {
                Came::Outcome(outcome) => Some(outcome),
                Came::Nothing(_) | Came::Taken => None,
            },
        }
    }

    /// Whether its turn has come and nobody has taken it.
    #[cfg(all(test, bartizan_loom))]
    pub(crate) fn has_turn(&self) -> bool {
        matches!(&*self.turn.lock().unwrap_or_else(PoisonError::into_inner), Came::Outcome(Ok(_)))
    }

    /// Leaves the line, and says whether it was still in it.
    fn leave(&self) -> bool {
        let Some(waiting) = self.shared.waiting() else { return false };
        let mut line = waiting.line();
        let was_there = line.leave(self.key).is_some();
        if line.is_empty() {
            self.shared.gate.set_waiting(false);
        }
        was_there
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(until) = self.until else { return false };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        timer.as_mut().poll(cx).is_ready()
    }
}

impl Future for Place {
    type Output = Result<Ticket, Refusing>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.take(Some(cx.waker())) {
            return Poll::Ready(outcome.map_err(Refusing::from));
        }
        if !self.is_over(cx) {
            return Poll::Pending;
        }
        if self.leave() {
            self.shared.press(&self.asked, self.why, Instant::now());
            let denial = Denial { why: self.why, class: self.asked.class() };
            return Poll::Ready(Err(denial.into()));
        }
        // Its turn came at the last moment.
        match self.take(None) {
            Some(outcome) => Poll::Ready(outcome.map_err(Refusing::from)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(waiting) = self.shared.waiting() {
            waiting.waited.record(Instant::now().saturating_duration_since(self.since));
        }
        if !self.leave() {
            // A ticket that nobody took gives its place to the next one.
            drop(self.take(None));
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("key", &self.key).field("until", &self.until).finish_non_exhaustive()
    }
}
