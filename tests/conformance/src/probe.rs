use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use tower::Service;

/// Inner service that answers by a function, counts what happens to it, and panics when an instance is called
/// that was not made ready. A clone starts unready and shares the counts.
pub struct Probe<F> {
    answer: F,
    ready: bool,
    tally: Arc<Tally>,
}

/// What happened to a [`Probe`] and its clones.
#[derive(Debug, Default)]
pub struct Tally {
    ready_polls: AtomicU64,
    calls: AtomicU64,
    dropped: AtomicU64,
    running: AtomicU64,
    peak: AtomicU64,
    never_ready: AtomicBool,
}

impl<F> Probe<F> {
    /// Creates a probe that answers each request by `answer`.
    #[must_use]
    pub fn new(answer: F) -> Self {
        Self { answer, ready: false, tally: Arc::default() }
    }

    /// The counts.
    #[must_use]
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }
}

impl Tally {
    /// How often readiness was asked for.
    #[must_use]
    pub fn ready_polls(&self) -> u64 {
        self.ready_polls.load(SeqCst)
    }

    /// How many calls came.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }

    /// How many futures were dropped before they were done.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(SeqCst)
    }

    /// How many futures are alive.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.running.load(SeqCst)
    }

    /// How many futures were alive at once.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak.load(SeqCst)
    }

    /// Sets whether the probe refuses to become ready. Who was told "pending" is not woken again.
    pub fn set_never_ready(&self, never: bool) {
        self.never_ready.store(never, SeqCst);
    }
}

impl<F: Clone> Clone for Probe<F> {
    fn clone(&self) -> Self {
        Self { answer: self.answer.clone(), ready: false, tally: self.tally.clone() }
    }
}

impl<F> fmt::Debug for Probe<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("ready", &self.ready)
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl<F, Req, Fut, T, E> Service<Req> for Probe<F>
where
    F: FnMut(Req) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = Probing<Fut>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.tally.ready_polls.fetch_add(1, SeqCst);
        if self.tally.never_ready.load(SeqCst) {
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Probing<Fut> {
        assert!(std::mem::take(&mut self.ready), "called an instance that was not made ready");
        self.tally.calls.fetch_add(1, SeqCst);
        let running = self.tally.running.fetch_add(1, SeqCst) + 1;
        self.tally.peak.fetch_max(running, SeqCst);
        Probing { inner: Box::pin((self.answer)(req)), done: false, tally: self.tally.clone() }
    }
}

/// Future of a [`Probe`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Probing<Fut> {
    inner: Pin<Box<Fut>>,
    done: bool,
    tally: Arc<Tally>,
}

impl<Fut: Future> Future for Probing<Fut> {
    type Output = Fut::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        assert!(!self.done, "polled after it was done");
        let polled = self.inner.as_mut().poll(cx);
        self.done = polled.is_ready();
        polled
    }
}

impl<Fut> Drop for Probing<Fut> {
    fn drop(&mut self) {
        self.tally.running.fetch_sub(1, SeqCst);
        if !self.done {
            self.tally.dropped.fetch_add(1, SeqCst);
        }
    }
}

impl<Fut> fmt::Debug for Probing<Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probing").field("done", &self.done).finish_non_exhaustive()
    }
}
