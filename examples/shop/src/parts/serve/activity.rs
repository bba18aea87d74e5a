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
    /// Whether a request has come.
    used: bool,
    /// On HTTP/2, bytes between requests are its own and begin no head.
    multiplexed: bool,
    /// When the connection was accepted, or its last request ended.
    free_since: Instant,
    /// When the first byte of the head that is being read came.
    head_since: Option<Instant>,
    /// When the last byte moved.
    moved: Instant,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        let (in_flight, used, multiplexed) = (0, false, false);
        Self(Arc::new(Mutex::new(Seen {
            in_flight,
            used,
            multiplexed,
            free_since: now,
            head_since: None,
            moved: now,
        })))
    }

    /// When the connection is overdue if nothing happens until then.
    pub(super) fn due(&self, limits: &Limits) -> Instant {
        let seen = self.seen();
        match seen.head_since {
            _ if seen.in_flight > 0 => seen.moved + limits.idle,
            Some(since) => since + limits.header,
            None if !seen.used => seen.free_since + limits.first_byte,
            None => seen.free_since + limits.idle,
        }
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

    fn read(&self, now: Instant) {
        let mut seen = self.seen();
        seen.moved = now;
        if seen.in_flight == 0 && !seen.multiplexed {
            seen.head_since.get_or_insert(now);
        }
    }

    fn written(&self, now: Instant) {
        self.seen().moved = now;
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
        if let Poll::Ready(Ok(1..)) = polled {
            self.activity.written(Instant::now());
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
