use super::error::{Panicked, ReplayTooLarge, Same};
use super::limit::ReplayLimit;
use super::state::{Source, State};
use super::waiting::Waiting;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

/// What the readers of a body share.
///
/// The lock is held for bookkeeping alone. The source is taken out while it is polled, and what is freed is dropped
/// outside: both are somebody else's code, which may come back to this body. Who has all of this for itself needs no lock.
pub(super) struct Shared<B> {
    /// What the source said of itself at the start.
    hint: SizeHint,
    limit: ReplayLimit,
    /// Who waits, once somebody has had to.
    waiting: OnceLock<Arc<Waiting>>,
    /// Set when the source is found to have ended, so that nobody takes the lock who asks for that too early.
    ended: AtomicBool,
    state: Mutex<State<B>>,
}

/// What a reader finds.
pub(super) enum Next<'a, B> {
    Frame(Frame<Bytes>),
    End,
    Failed(Box<dyn Error + Send + Sync>),
    /// Another reader polls the source, and will wake those that wait.
    Busy,
    /// It is this reader's turn to poll the source; and whether it is the only one.
    Source(Turn<'a, B>, bool),
}

/// The source, while a reader polls it. Dropped while it still holds it, the poll has panicked.
pub(super) struct Turn<'a, B> {
    shared: &'a Shared<B>,
    id: u64,
    source: Option<Pin<Box<B>>>,
}

impl<B: Body> Shared<B> {
    /// Of a body that one reader begins to read.
    #[inline]
    pub(super) fn new(body: B, limit: &ReplayLimit) -> Self {
        let hint = body.size_hint();
        let keeping = usize::try_from(hint.lower()).is_ok_and(|lower| lower <= limit.body());
        Self {
            hint,
            limit: limit.clone(),
            waiting: OnceLock::new(),
            ended: AtomicBool::new(false),
            state: Mutex::new(State::new(body, keeping)),
        }
    }
}

impl<B> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hint(&self) -> &SizeHint {
        &self.hint
    }

    pub(super) fn waiting(&self) -> &Arc<Waiting> {
        self.waiting.get_or_init(Arc::default)
    }

    /// Lets another reader in, if all is there that it needs.
    pub(super) fn enter_again(&self) -> Option<u64> {
        let mut state = self.lock();
        state.keeping.then(|| state.readers.enter())
    }

    pub(super) fn leave(&self, id: u64) {
        self.free(|state| state.readers.leave(id));
        if let Some(waiting) = self.waiting.get() {
            waiting.remove(id);
        }
    }

    pub(super) fn stop_keeping(&self) {
        self.free(|state| state.keeping = false);
    }

    /// Lets go of the frames that nobody needs after a change.
    fn free(&self, change: impl FnOnce(&mut State<B>)) {
        let mut state = self.lock();
        change(&mut state);
        let freed = state.release(&self.limit);
        drop(state);
        drop(freed);
    }

    pub(super) fn was_asked(&self) -> bool {
        self.lock().asked
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.lock().source, Source::Failed(_))
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.lock().source, Source::Ended | Source::Failed(_))
    }

    pub(super) fn is_ended_for(&self, id: u64) -> bool {
        self.ended.load(Relaxed) && {
            let state = self.lock();
            matches!(state.source, Source::Ended) && state.readers.of(id).is_some_and(|at| at == state.end())
        }
    }

    /// What a reader sees next.
    pub(super) fn next(&self, id: u64) -> Next<'_, B> {
        let mut state = self.lock();
        let Some(at) = state.readers.of(id) else { return Next::Failed(ReplayTooLarge.into()) };
        if let Some(frame) = state.frame(at) {
            state.readers.advance(id);
            let freed = state.release(&self.limit);
            drop(state);
            drop(freed);
            return Next::Frame(frame);
        }
        match mem::replace(&mut state.source, Source::Away) {
            Source::Here(source) => {
                state.knocked = false;
                state.asked = true;
                let alone = state.readers.is_one();
                Next::Source(Turn { shared: self, id, source: Some(source) }, alone)
            }
            Source::Away => {
                state.knocked = true;
                Next::Busy
            }
            Source::Ended => {
                state.source = Source::Ended;
                Next::End
            }
            Source::Failed(error) => {
                state.source = Source::Failed(error.clone());
                Next::Failed(error.into())
            }
        }
    }

    /// Wakes those who wait for what the turn of a reader has brought.
    fn news(&self, id: u64) {
        if let Some(waiting) = self.waiting.get() {
            waiting.remove(id);
            waiting.wake_all();
        }
    }
}

impl<B: Body<Data = Bytes>> Shared<B>
where
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Yields the next frame to the only reader that there is or will be. Says whether the body has ended with it.
    #[inline]
    #[allow(clippy::type_complexity, reason = "it is the type of `Body::poll_frame`")]
    pub(super) fn poll_alone(
        &mut self,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<(Option<Result<Frame<Bytes>, Box<dyn Error + Send + Sync>>>, bool)> {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = state.readers.of(id) else {
            return Poll::Ready((Some(Err(ReplayTooLarge.into())), true));
        };
        if let Some(frame) = state.frame(at) {
            state.readers.advance(id);
            drop(state.release(&self.limit));
            return Poll::Ready((Some(Ok(frame)), false));
        }
        let mut source = match mem::replace(&mut state.source, Source::Away) {
            Source::Here(source) => source,
            // It was left so by a poll that panicked.
            Source::Away => return Poll::Ready((Some(Err(Panicked.into())), true)),
            Source::Ended => return Poll::Ready((None, true)),
            Source::Failed(error) => return Poll::Ready((Some(Err(error.into())), true)),
        };
        match source.as_mut().poll_frame(cx) {
            Poll::Pending => {
                state.source = Source::Here(source);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                let ended = is_last(&frame, &source);
                drop(state.note(id, &frame, &self.limit));
                state.source = Source::Here(source);
                Poll::Ready((Some(Ok(frame)), ended))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready((Some(Err(error.into())), true)),
            Poll::Ready(None) => Poll::Ready((None, true)),
        }
    }
}

/// Trailers are the last frame, and who has read them does not always poll on.
#[inline]
fn is_last<B: Body>(frame: &Frame<Bytes>, source: &B) -> bool {
    frame.is_trailers() || source.is_end_stream()
}

impl<B> Drop for Shared<B> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.limit.give_back(state.bytes());
    }
}

impl<B: Body<Data = Bytes>> Turn<'_, B> {
    pub(super) fn source(&mut self) -> Pin<&mut B> {
        self.source.as_mut().expect("a turn holds the source until it is over").as_mut()
    }

    /// The source has nothing yet.
    pub(super) fn pending(mut self) {
        let source = self.source.take();
        let mut state = self.shared.lock();
        if let Some(source) = source {
            state.source = Source::Here(source);
        }
        let knocked = state.knocked;
        drop(state);
        if knocked {
            // Those who knocked may have come too late for the source's waker.
            self.shared.waiting().wake_others(self.id);
        }
    }

    /// The source has yielded a frame.
    pub(super) fn frame(mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let ended = is_last(&frame, &*self.source());
        let source = self.source.take();
        let mut state = self.shared.lock();
        let freed = state.note(self.id, &frame, &self.shared.limit);
        let gone = match source {
            Some(source) if !ended => {
                state.source = Source::Here(source);
                None
            }
            gone => {
                state.source = Source::Ended;
                self.shared.ended.store(true, Relaxed);
                gone
            }
        };
        drop(state);
        self.shared.news(self.id);
        drop((freed, gone));
        frame
    }

    /// The source has ended.
    pub(super) fn end(self) {
        self.finish(Source::Ended);
    }

    /// The source has failed. Returns what its reader receives.
    pub(super) fn fail(self, error: Box<dyn Error + Send + Sync>) -> Box<dyn Error + Send + Sync> {
        let state = self.shared.lock();
        let alone = !state.keeping && state.readers.is_one();
        drop(state);
        if alone {
            self.finish(Source::Ended);
            return error;
        }
        let error = Same::new(error);
        self.finish(Source::Failed(error.clone()));
        error.into()
    }
}

impl<B> Turn<'_, B> {
    fn finish(mut self, with: Source<B>) {
        self.close(with);
    }

    fn close(&mut self, with: Source<B>) {
        let source = self.source.take();
        self.shared.ended.store(true, Relaxed);
        self.shared.lock().source = with;
        self.shared.news(self.id);
        drop(source);
    }
}

impl<B> Drop for Turn<'_, B> {
    fn drop(&mut self) {
        if self.source.is_some() {
            self.close(Source::Failed(Same::new(Panicked.into())));
        }
    }
}
