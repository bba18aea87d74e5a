//! Bodies that are watched while they last.

use super::activity::{Awaited, InFlight};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// A response body that keeps its request under way until it is sent or dropped.
    pub(super) struct Held<B> {
        #[pin]
        pub(super) body: B,
        pub(super) _request: InFlight,
    }
}

impl<B: Body> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project! {
    /// A request body that is awaited until it has come or nobody wants it any more. What was read ahead of it comes first.
    pub(super) struct Coming<B: Body> {
        #[pin]
        pub(super) body: B,
        pub(super) front: Bytes,
        last: Option<Result<Frame<Bytes>, B::Error>>,
        ended: bool,
        pub(super) awaited: Option<Awaited>,
    }
}

impl<B: Body> Coming<B> {
    /// One of which nothing was read yet.
    pub(super) fn new(body: B, awaited: Option<Awaited>) -> Self {
        Self { body, front: Bytes::new(), last: None, ended: false, awaited }
    }

    /// Whether nothing more will come than what was read.
    pub(super) fn is_over(&self) -> bool {
        self.ended
    }

    /// Hears that nothing more will come than this.
    pub(super) fn end(&mut self, last: Option<Result<Frame<Bytes>, B::Error>>) {
        (self.last, self.ended, self.awaited) = (last, true, None);
    }
}

impl<B: Body<Data = Bytes>> Body for Coming<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if !this.front.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(this.front)))));
        }
        if *this.ended {
            return Poll::Ready(this.last.take());
        }
        let polled = this.body.as_mut().poll_frame(cx);
        if this.body.is_end_stream() || matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            *this.awaited = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let rest = if self.ended { self.last.is_none() } else { self.body.is_end_stream() };
        self.front.is_empty() && rest
    }

    fn size_hint(&self) -> SizeHint {
        let front = self.front.len() as u64;
        let rest = if self.ended { SizeHint::with_exact(0) } else { self.body.size_hint() };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(front));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(front));
        }
        hint
    }
}
