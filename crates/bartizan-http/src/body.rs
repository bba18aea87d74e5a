use crate::classify::{AtEnd, End};
use bartizan_core::{ErrorsFail, Permit, Verdict};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Response body that holds a permit until it has ended, failed or was dropped, and finds the verdict there.
    ///
    /// The permit hears its verdict before the last frame is yielded, so that who has read the body to its end sees the
    /// effect. A body that is at its end already gives its permit back when it is made. A refusal is such a body as well,
    /// without a permit.
    pub struct GuardedBody<B, P: Permit, E: AtEnd> {
        #[pin]
        content: Content<B>,
        held: Held<P, E>,
    }
}

pin_project! {
    #[project = ContentProj]
    enum Content<B> {
        Inner { #[pin] body: B },
        Full { data: Option<Bytes> },
    }
}

impl<B: Body<Data = Bytes>, P: Permit, E: AtEnd> GuardedBody<B, P, E> {
    /// Wraps the body of an admitted request's answer. Without `at_end` the verdict was recorded at the head, and the
    /// permit is only held.
    #[inline]
    pub fn new(body: B, permit: P, at_end: Option<E>) -> Self {
        let mut held = Held(Some((permit, at_end)));
        if body.is_end_stream() {
            held.finish(End::Eof);
        }
        Self { content: Content::Inner { body }, held }
    }

    /// Makes the body of a refusal, which holds no permit.
    #[must_use]
    pub fn full(data: Bytes) -> Self {
        Self { content: Content::Full { data: (!data.is_empty()).then_some(data) }, held: Held(None) }
    }
}

impl<B, P: Permit, E: AtEnd> Default for GuardedBody<B, P, E> {
    fn default() -> Self {
        Self { content: Content::Full { data: None }, held: Held(None) }
    }
}

impl<B, P: Permit, E: AtEnd> fmt::Debug for GuardedBody<B, P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedBody").field("held", &self.held.0.is_some()).finish_non_exhaustive()
    }
}

/// The permit until the body ends. Dropped while it still holds one, the reader has left; dropped while a poll of the
/// body panics, the body has failed.
struct Held<P: Permit, E: AtEnd>(Option<(P, Option<E>)>);

impl<P: Permit, E: AtEnd> Held<P, E> {
    #[inline]
    fn finish(&mut self, end: End<'_>) {
        if let Some((mut permit, Some(at_end))) = self.0.take() {
            permit.record(at_end.finish(end));
        }
    }
}

impl<P: Permit, E: AtEnd> Drop for Held<P, E> {
    #[inline]
    fn drop(&mut self) {
        self.finish(End::Dropped);
    }
}

/// Records a failure when it is dropped, which happens only if the poll that it watches panics.
struct OnPanic<'a, P: Permit, E: AtEnd>(&'a mut Held<P, E>);

impl<P: Permit, E: AtEnd> Drop for OnPanic<'_, P, E> {
    #[cold]
    fn drop(&mut self) {
        if let Some((mut permit, Some(_))) = self.0.0.take() {
            permit.record(Verdict::Failure);
        }
    }
}

/// A body that a layer inside has cut off for what its reader did has not failed.
#[cold]
fn end_by<E: 'static>(error: &E) -> End<'static> {
    match ErrorsFail::refusal(error) {
        Some(refused) if !refused.is_verdict() => End::Dropped,
        _ => End::Error,
    }
}

impl<B: Body<Data = Bytes, Error: 'static>, P: Permit, E: AtEnd> Body for GuardedBody<B, P, E> {
    type Data = Bytes;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let mut body = match this.content.project() {
            ContentProj::Full { data } => return Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            ContentProj::Inner { body } => body,
        };
        let watch = OnPanic(this.held);
        let polled = body.as_mut().poll_frame(cx);
        std::mem::forget(watch);
        let frame = ready!(polled);
        match &frame {
            None => this.held.finish(End::Eof),
            Some(Err(error)) => this.held.finish(end_by(error)),
            Some(Ok(frame)) => match frame.trailers_ref() {
                Some(trailers) => this.held.finish(End::Trailers(trailers)),
                None if body.is_end_stream() => this.held.finish(End::Eof),
                None => {}
            },
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Inner { body } => body.is_end_stream(),
            Content::Full { data } => data.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Inner { body } => body.size_hint(),
            Content::Full { data } => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}
