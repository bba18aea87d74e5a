//! A request under way.

use super::visit::{How, Visit};
use bartizan_core::Refused;
use http::response::Parts;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

/// What came out of a call.
#[derive(Debug)]
pub struct Heard {
    /// What the inner service said, or a layer's no.
    pub said: Result<How, Refused>,
    /// The head of the answer, over HTTP.
    pub head: Option<Parts>,
}

pub(super) type Hearing = Pin<Box<dyn Future<Output = Heard> + Send>>;

/// A request under way. Dropped, its caller has left.
#[must_use = "dropped, its caller has left"]
pub struct Guest {
    call: Option<Hearing>,
    alarm: Arc<Alarm>,
    seen: u64,
    visit: Visit,
    heard: Option<Heard>,
}

/// Counts how often it was woken.
#[derive(Debug, Default)]
struct Alarm(AtomicU64);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// It has not reached the inner service yet.
    Waiting,
    /// It is with the inner service.
    Running,
    /// The inner service has answered it.
    Answered(How),
    /// A layer has refused it.
    Refused,
}

impl Guest {
    /// Polls the call once.
    pub(super) fn new(call: Hearing, visit: Visit) -> Self {
        let mut guest = Self { call: Some(call), alarm: Arc::default(), seen: 0, visit, heard: None };
        guest.poll();
        guest
    }

    fn poll(&mut self) {
        let Some(call) = &mut self.call else { return };
        self.seen = self.alarm.0.load(SeqCst);
        let waker = Waker::from(self.alarm.clone());
        if let Poll::Ready(heard) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
            (self.call, self.heard) = (None, Some(heard));
        }
    }

    /// How often it was woken so far.
    #[must_use]
    pub fn wakes(&self) -> u64 {
        self.alarm.0.load(SeqCst)
    }

    /// Where it is, once it was polled as often as it was woken.
    pub fn is(&mut self) -> Is {
        while self.call.is_some() && self.wakes() > self.seen {
            self.poll();
        }
        match self.heard.as_ref().map(|heard| &heard.said) {
            Some(Ok(how)) => Is::Answered(*how),
            Some(Err(_)) => Is::Refused,
            None if self.visit.has_reached() => Is::Running,
            None => Is::Waiting,
        }
    }

    /// The refusal that it has got.
    ///
    /// # Panics
    ///
    /// If it has got none.
    #[must_use]
    pub fn refused(&mut self) -> Refused {
        let is = self.is();
        match self.heard.as_ref().map(|heard| &heard.said) {
            Some(Err(refused)) => refused.clone(),
            _ => panic!("it was not refused: {is:?}"),
        }
    }

    /// The head of its answer, over HTTP.
    ///
    /// # Panics
    ///
    /// If it has none.
    #[must_use]
    pub fn head(&mut self) -> &Parts {
        self.is();
        self.heard.as_ref().and_then(|heard| heard.head.as_ref()).expect("an answer over HTTP")
    }

    /// Awaits what comes out.
    pub(super) async fn heard(mut self) -> Heard {
        match (self.heard.take(), self.call.take()) {
            (Some(heard), _) => heard,
            (None, Some(call)) => call.await,
            (None, None) => unreachable!("a call ends once"),
        }
    }

    /// What it asked for.
    #[must_use]
    pub fn visit(&self) -> &Visit {
        &self.visit
    }

    /// Lets it end.
    ///
    /// # Panics
    ///
    /// If something else comes out than the inner service said.
    pub fn end(mut self, how: How) {
        self.visit.end(how);
        assert_eq!(self.is(), Is::Answered(how));
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("visit", &self.visit)
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}
