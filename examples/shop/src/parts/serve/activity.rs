//! What a connection has been doing, and when that is too little.

use super::limits::Limits;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Watches one connection. Clones watch the same one.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<Seen>>);

struct Seen {
    in_flight: usize,
    /// Since when bodies of requests are awaited, by their numbers.
    bodies: Vec<(u64, Instant)>,
    next_body: u64,
    /// Since when the other end takes nothing of what is to be sent.
    stuck_since: Option<Instant>,
    /// When the connection was accepted.
    opened: Instant,
    /// Whether a request has come.
    used: bool,
    /// On HTTP/2, bytes between requests are its own and begin no head.
    multiplexed: bool,
    /// Since when it waits for the first request, or the next one.
    free_since: Instant,
    /// When the first byte of the head that is being read came.
    head_since: Option<Instant>,
    /// When the last byte moved.
    moved: Instant,
}

impl Activity {
    /// It was `opened` before, when a handshake has come first.
    pub(super) fn new(opened: Instant, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Seen {
            in_flight: 0,
            bodies: Vec::new(),
            next_body: 0,
            stuck_since: None,
            opened,
            used: false,
            multiplexed: false,
            free_since: now,
            head_since: None,
            moved: now,
        })))
    }

    /// When the connection is overdue if nothing happens until then.
    pub(super) fn due(&self, limits: &Limits) -> Instant {
        let seen = self.seen();
        let first_head = seen.opened + limits.first_byte + limits.header;
        let due = match seen.head_since {
            _ if seen.in_flight > 0 => seen.moved + limits.idle,
            Some(since) if seen.used => since + limits.header,
            Some(since) => first_head.min(since + limits.header),
            None if !seen.used => first_head.min(seen.free_since + limits.first_byte),
            None if seen.multiplexed => seen.free_since + limits.idle,
            None => seen.free_since + limits.between,
        };
        let bodies = seen.bodies.iter().map(|(_, since)| *since + limits.body);
        bodies.chain(seen.stuck_since.map(|since| since + limits.unread)).fold(due, Instant::min)
    }

    /// Since when it waits for a request of which no byte has come.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let seen = self.seen();
        (seen.in_flight == 0 && seen.head_since.is_none()).then_some(seen.free_since)
    }

    pub(super) fn is_multiplexed(&self) -> bool {
        self.seen().multiplexed
    }

    pub(super) fn is_free(&self) -> bool {
        self.seen().in_flight == 0
    }

    /// A request has come; it is over when the guard is dropped.
    pub(super) fn begin(&self, multiplexed: bool) -> InFlight {
        let mut seen = self.seen();
        seen.in_flight += 1;
        seen.used = true;
        seen.multiplexed = multiplexed;
        seen.head_since = None;
        InFlight(self.clone())
    }

    /// The body of a request is awaited until the guard is dropped.
    pub(super) fn await_body(&self) -> Awaited {
        let mut seen = self.seen();
        let nth = seen.next_body;
        seen.next_body += 1;
        seen.bodies.push((nth, Instant::now()));
        Awaited(self.clone(), nth)
    }

    fn read(&self, now: Instant) {
        let mut seen = self.seen();
        seen.moved = now;
        if seen.in_flight == 0 && !seen.multiplexed {
            seen.head_since.get_or_insert(now);
        }
    }

    fn written(&self, now: Instant) {
        let mut seen = self.seen();
        seen.moved = now;
        seen.stuck_since = None;
    }

    fn stuck(&self, now: Instant) {
        self.seen().stuck_since.get_or_insert(now);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
pub(super) struct InFlight(Activity);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut seen = self.0.seen();
        seen.in_flight -= 1;
        seen.free_since = Instant::now();
    }
}

/// The body of a request that has not come to its end.
pub(super) struct Awaited(Activity, u64);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.seen().bodies.retain(|(nth, _)| *nth != self.1);
    }
}

/// A stream whose bytes are watched.
pub(super) struct Watched<T> {
    pub(super) stream: T,
    pub(super) activity: Activity,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.read(Instant::now());
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        match polled {
            Poll::Ready(Ok(1..)) => self.activity.written(Instant::now()),
            Poll::Pending => self.activity.stuck(Instant::now()),
            Poll::Ready(_) => {}
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
