use crate::reason::Reason;
use crate::span::Span;
use bartizan_core::Instant;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pin_project! {
    /// Request body that tells the deadline layer how the upload goes, under a layer of
    /// [`uploads`](crate::DeadlineLayer::uploads).
    pub struct Upload<B> {
        #[pin]
        body: B,
        told: Option<Told>,
    }
}

impl<B: Body> Upload<B> {
    /// Wraps a body that nobody watches.
    pub(crate) const fn unwatched(body: B) -> Self {
        Self { body, told: None }
    }

    /// Wraps a body whose progress is watched; one without content has ended already.
    pub(crate) fn new(body: B, head: Span, idle: Span, now: Instant) -> (Self, Arc<Progress>) {
        let phase = if body.is_end_stream() { Phase::Ended(now) } else { Phase::Moving };
        let state = Mutex::new(State { phase, watcher: None });
        let progress = Arc::new(Progress { head, idle, state });
        (Self { body, told: Some(Told(progress.clone())) }, progress)
    }
}

impl<B> fmt::Debug for Upload<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("watched", &self.told.is_some()).finish_non_exhaustive()
    }
}

impl<B: Body> Body for Upload<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(cx);
        if let Some(Told(progress)) = this.told {
            match &polled {
                Poll::Pending => progress.waits(),
                Poll::Ready(Some(Ok(_))) if !this.body.is_end_stream() => progress.moves(),
                Poll::Ready(_) => progress.ends(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body's end of the progress. Dropping it ends the upload, for what is not read will not come.
struct Told(Arc<Progress>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.ends();
    }
}

/// How far an upload is, shared by the body and the future of the call.
#[derive(Debug)]
pub(crate) struct Progress {
    head: Span,
    idle: Span,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Wakes the future of the call, if it is not being polled right now.
    watcher: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The reader has not asked for the next frame, or it was there.
    Moving,
    /// The reader asked, and has waited since then.
    Waiting(Instant),
    /// There is no more to come.
    Ended(Instant),
}

impl Progress {
    /// Hears that the future of the call is about to be polled: it will look by itself.
    pub(crate) fn watched(&self) {
        self.lock().watcher = None;
    }

    /// Returns when the call is to be ended, and why, by what is known now; wakes the task when that changes.
    pub(crate) fn due(&self, cx: &Context<'_>) -> Option<(Instant, Reason)> {
        let mut state = self.lock();
        if let Phase::Ended(at) = state.phase {
            return self.head.after(at).map(|at| (at, Reason::Head));
        }
        state.watcher = Some(cx.waker().clone());
        match state.phase {
            Phase::Waiting(since) => self.idle.after(since).map(|at| (at, Reason::Upload)),
            Phase::Moving | Phase::Ended(_) => None,
        }
    }

    fn waits(&self) {
        let state = self.lock();
        if matches!(state.phase, Phase::Moving) {
            turn(state, Phase::Waiting(Instant::now()));
        }
    }

    /// A timer set for the wait that is over finds nothing due: nobody needs to be woken.
    fn moves(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Waiting(_)) {
            state.phase = Phase::Moving;
        }
    }

    fn ends(&self) {
        let state = self.lock();
        if !matches!(state.phase, Phase::Ended(_)) {
            turn(state, Phase::Ended(Instant::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns to another phase and wakes the call, whose timer may be wrong now.
fn turn(mut state: MutexGuard<'_, State>, phase: Phase) {
    state.phase = phase;
    let watcher = state.watcher.take();
    drop(state);
    if let Some(watcher) = watcher {
        watcher.wake();
    }
}
