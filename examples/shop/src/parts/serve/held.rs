//! Bodies that are watched while they last.

use super::activity::{Awaited, InFlight};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
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
    /// A request body that is awaited until it has come or nobody wants it any more.
    pub(super) struct Coming<B> {
        #[pin]
        pub(super) body: B,
        pub(super) awaited: Option<Awaited>,
    }
}

impl<B: Body> Body for Coming<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(cx);
        if this.body.is_end_stream() || matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            *this.awaited = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
