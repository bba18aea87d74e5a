//! A source whose every poll is written down before, and wakers that count.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// What a poll does.
pub(crate) enum Step {
    Frame(Frame<Bytes>),
    Error,
    /// Remembers the waker.
    Pending,
    /// Runs a function with the waker, and goes on with the next step.
    Do(Box<dyn FnMut(&Waker) + Send>),
}

/// What a test sees of a source.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) polls: AtomicUsize,
    pub(crate) waker: Mutex<Option<Waker>>,
}

impl Watch {
    pub(crate) fn wake(&self) -> bool {
        let waker = self.waker.lock().unwrap().take();
        waker.map(Waker::wake).is_some()
    }
}

pub(crate) struct Script {
    pub(crate) steps: VecDeque<Step>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) exact: Option<u64>,
    /// Whether it says that it is at its end before it is asked.
    pub(crate) tells_end: bool,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps = steps.into_iter().collect();
        Self { steps, watch: Arc::default(), exact: None, tells_end: false }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.watch.polls.fetch_add(1, SeqCst);
        loop {
            return match self.steps.pop_front() {
                None => Poll::Ready(None),
                Some(Step::Frame(frame)) => Poll::Ready(Some(Ok(frame))),
                Some(Step::Error) => Poll::Ready(Some(Err(io::Error::other("torn")))),
                Some(Step::Pending) => {
                    let old = self.watch.waker.lock().unwrap().replace(cx.waker().clone());
                    drop(old);
                    Poll::Pending
                }
                Some(Step::Do(mut act)) => {
                    act(cx.waker());
                    continue;
                }
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        self.tells_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

pub(crate) fn data(text: &'static str) -> Step {
    Step::Frame(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}
