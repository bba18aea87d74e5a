mod error;
mod kept;
mod limit;
mod places;
mod shared;
mod state;
mod waiting;

pub use error::ReplayTooLarge;
pub use limit::ReplayLimit;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use places::Places;
use shared::{Next, Shared};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// Request body that can be sent more than once: one reader of a body that others may read as well.
///
/// [`split`](Self::split) makes the first reader, and [`Replays::again`] any number of further ones. Each of them sees
/// the whole body from its first byte, in the frames that the source yielded, with its trailers.
///
/// It is lazy: the source is polled only when a reader is polled that has seen all there is. Reading ahead would wait
/// forever for a client that sends its next message only after it has received an answer.
///
/// # Memory
///
/// Frames are kept as the [`Bytes`] they are, so that nothing is copied, and within a [`ReplayLimit`]: what counts is
/// their data. Trailers are kept besides, and no more than 1024 frames of a body, however small they are. A body that
/// is at its end already keeps nothing and allocates nothing.
///
/// A body that says itself that it is larger than the limit is not kept from its start on. Beyond the limit keeping
/// ends for good: [`Replays::again`] makes no more readers, and the reader that is farthest ahead goes on untouched. The
/// others share what it is ahead of them as long as that alone is within the limit. Then they fail.
///
/// # Errors
///
/// [`ReplayTooLarge`] to a reader that needs a frame which is not kept any more. An error of the source ends all
/// readers: as it is if nobody else can read the body, else each of them receives one that shows the same text and has
/// it as its source. So does a panic of the source to all readers but the one it goes through. After an error the body
/// has ended.
///
/// # Cancel safety
///
/// A reader may be dropped at any time, and loses nothing for the others: a frame that one reader has received is
/// kept for whoever has not, and while several wait for the source, it wakes them all.
///
/// The idea is that of linkerd2-proxy's `ReplayBody`, which has one reader at a time.
///
/// ```
/// use bartizan_http::{Replay, ReplayLimit};
/// use http_body_util::{BodyExt, Full};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let (first, replays) = Replay::split(Full::from("3 apples"), &ReplayLimit::default());
/// assert_eq!(first.collect().await?.to_bytes(), "3 apples");
/// let second = replays.again().expect("so small a body is kept");
/// assert_eq!(second.collect().await?.to_bytes(), "3 apples");
/// # Ok(())
/// # }
/// ```
pub struct Replay<B>(Reads<B>);

/// Makes further readers of a body. Dropped, it lets go of all frames but those that some reader has still to see.
pub struct Replays<B>(Option<Arc<Shared<B>>>);

/// What a reader reads.
enum Reads<B> {
    /// It has come to the end.
    Nothing,
    /// A body that nobody else will read. The lock is there for those whose bodies cannot be shared by threads.
    Alone(Mutex<Pin<Box<B>>>),
    Shared(Reader<B>),
}

/// A reader that has not come to the end yet.
struct Reader<B> {
    shared: Arc<Shared<B>>,
    id: u64,
    /// Bytes seen.
    read: u64,
}

impl<B: Body<Data = Bytes>> Replay<B> {
    /// Makes the only reader of a body, of which nothing is kept.
    #[inline]
    pub fn once(body: B) -> Self {
        Self(if body.is_end_stream() { Reads::Nothing } else { Reads::Alone(Mutex::new(Box::pin(body))) })
    }

    /// Makes the first reader of a body, and what makes the others.
    pub fn split(body: B, limit: &ReplayLimit) -> (Self, Replays<B>) {
        if body.is_end_stream() {
            return (Self(Reads::Nothing), Replays(None));
        }
        let shared = Arc::new(Shared::new(body, limit));
        let first = Reader { id: Places::FIRST, shared: shared.clone(), read: 0 };
        (Self(Reads::Shared(first)), Replays(Some(shared)))
    }
}

impl<B> Replays<B> {
    /// Makes another reader, which begins with the first byte. `None` once the body is beyond the limit.
    #[must_use]
    pub fn again(&self) -> Option<Replay<B>> {
        let Some(shared) = &self.0 else { return Some(Replay(Reads::Nothing)) };
        let id = shared.enter_again()?;
        Some(Replay(Reads::Shared(Reader { id, shared: shared.clone(), read: 0 })))
    }

    /// Whether nobody has asked for a frame yet, of which there is one: then no part of the body was sent anywhere.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| !shared.was_asked())
    }

    /// Whether the source has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.has_failed())
    }

    /// Whether the source was read to its end, or failed. It has ended from the start if it was empty.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0.as_ref().is_none_or(|shared| shared.is_ended())
    }
}

impl<B> Body for Replay<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let reader = match &mut self.0 {
            Reads::Nothing => return Poll::Ready(None),
            Reads::Alone(body) => {
                let body = body.get_mut().unwrap_or_else(PoisonError::into_inner);
                let frame = ready!(body.as_mut().poll_frame(cx));
                if !matches!(frame, Some(Ok(_))) {
                    self.0 = Reads::Nothing;
                }
                return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
            }
            Reads::Shared(reader) => reader,
        };
        let (frame, ended) = match Arc::get_mut(&mut reader.shared) {
            // There will be no other reader any more.
            Some(shared) => ready!(shared.poll_alone(reader.id, cx)),
            None => {
                let frame = ready!(reader.poll(cx));
                let ended = !matches!(frame, Some(Ok(_)));
                (frame, ended)
            }
        };
        if ended {
            self.0 = Reads::Nothing;
        } else if let Some(Ok(frame)) = &frame {
            reader.read += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Reads::Nothing => true,
            Reads::Alone(body) => lock(body).is_end_stream(),
            Reads::Shared(reader) => reader.shared.is_ended_for(reader.id),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let reader = match &self.0 {
            Reads::Alone(body) => return lock(body).size_hint(),
            Reads::Shared(reader) if !self.is_end_stream() => reader,
            Reads::Nothing | Reads::Shared(_) => return SizeHint::with_exact(0),
        };
        let all = reader.shared.hint();
        let mut left = SizeHint::new();
        if let Some(upper) = all.upper() {
            left.set_upper(upper.saturating_sub(reader.read));
        }
        left.set_lower(all.lower().saturating_sub(reader.read));
        left
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Reader<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    #[allow(clippy::type_complexity, reason = "it is the type of `Body::poll_frame`")]
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Box<dyn Error + Send + Sync>>>> {
        let shared = &*self.shared;
        let mut next = shared.next(self.id);
        if matches!(next, Next::Busy) {
            shared.waiting().put(self.id, cx.waker());
            // The other may have finished before the waker was there.
            next = shared.next(self.id);
        }
        let (mut turn, alone) = match next {
            Next::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
            Next::End => return Poll::Ready(None),
            Next::Failed(error) => return Poll::Ready(Some(Err(error))),
            Next::Busy => return Poll::Pending,
            Next::Source(turn, alone) => (turn, alone),
        };
        let polled = if alone {
            let polled = turn.source().poll_frame(cx);
            if polled.is_pending() {
                // A second reader may come and give the source another waker.
                shared.waiting().put(self.id, cx.waker());
            }
            polled
        } else {
            shared.waiting().put(self.id, cx.waker());
            let all = Waker::from(shared.waiting().clone());
            turn.source().poll_frame(&mut Context::from_waker(&all))
        };
        match polled {
            Poll::Pending => {
                turn.pending();
                Poll::Pending
            }
            Poll::Ready(None) => {
                turn.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(turn.frame(frame)))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(turn.fail(error.into())))),
        }
    }
}

impl<B> Drop for Reader<B> {
    fn drop(&mut self) {
        // Who is the last takes all along.
        if Arc::strong_count(&self.shared) > 1 {
            self.shared.leave(self.id);
        }
    }
}

impl<B> Drop for Replays<B> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.as_ref().filter(|shared| Arc::strong_count(shared) > 1) {
            shared.stop_keeping();
        }
    }
}

impl<B> fmt::Debug for Replay<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = match &self.0 {
            Reads::Shared(reader) => Some(reader.read),
            Reads::Nothing | Reads::Alone(_) => None,
        };
        f.debug_struct("Replay").field("read", &read).finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for Replays<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replays").field("ended", &self.is_ended()).finish_non_exhaustive()
    }
}
