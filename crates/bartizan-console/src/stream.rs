use crate::Console;
use crate::places::Place;
use axum::body::Bytes;
use bartizan_core::Instant;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::{Sleep, sleep_until};

/// The body of a stream: events until the console is closed, or the reader gone.
#[derive(Debug)]
pub(crate) struct Stream {
    console: Console,
    place: Place,
    /// Until the next look. Boxed, as a body need not stay where it is.
    until: Pin<Box<Sleep>>,
    sent: Option<(Instant, Bytes)>,
}

impl Stream {
    /// A stream whose first event is sent at once.
    pub(crate) fn new(console: Console, place: Place) -> Self {
        Self { console, place, until: Box::pin(sleep_until(Instant::now())), sent: None }
    }

    /// Looks, and returns the event if it is due.
    fn look(&mut self) -> Option<Bytes> {
        let now = Instant::now();
        let (event, next) = self.console.look(now);
        self.until.as_mut().reset(next);
        let is_due = is_due(self.sent.as_ref(), &event, now);
        is_due.then(|| {
            self.sent = Some((now, event.clone()));
            event
        })
    }
}

/// The body of a history: its pieces, and the place of whom they are sent to, who may be slow to read them.
#[derive(Debug)]
pub(crate) struct Past {
    pieces: VecDeque<Bytes>,
    _place: Place,
}

impl Past {
    pub(crate) fn new(pieces: VecDeque<Bytes>, place: Place) -> Self {
        Self { pieces, _place: place }
    }
}

impl Body for Past {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}

/// Whether an event is sent: what is new always, what is known after a while.
fn is_due(sent: Option<&(Instant, Bytes)>, event: &Bytes, now: Instant) -> bool {
    sent.is_none_or(|(at, sent)| sent != event || now.saturating_duration_since(*at) >= Console::HEARTBEAT)
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.place.is_closed(cx.waker()) {
            return Poll::Ready(None);
        }
        loop {
            ready!(self.until.as_mut().poll(cx));
            if let Some(event) = self.look() {
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn what_is_new_is_due_and_what_is_known_only_after_a_while() {
        let at = Instant::now();
        let (old, new) = (Bytes::from_static(b"old"), Bytes::from_static(b"new"));
        let sent = Some((at, old.clone()));
        let just_before = at + Console::HEARTBEAT - Duration::from_nanos(1);
        assert!(is_due(None, &old, at));
        assert!(is_due(sent.as_ref(), &new, at));
        assert!(!is_due(sent.as_ref(), &old, just_before));
        assert!(is_due(sent.as_ref(), &old, at + Console::HEARTBEAT));
    }
}
