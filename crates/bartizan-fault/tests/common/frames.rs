//! A body whose every frame is known.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body that is told frame by frame, says honestly what is left of it, and may not be asked again once it has ended.
#[derive(Debug)]
pub(crate) struct Frames {
    left: VecDeque<Frame<Bytes>>,
    error: bool,
    over: bool,
}

impl Frames {
    pub(crate) fn new<const N: usize>(data: [&'static str; N]) -> Self {
        let left = data.map(|data| Frame::data(Bytes::from_static(data.as_bytes())));
        Self { left: left.into(), error: false, over: false }
    }

    pub(crate) fn with_trailer(mut self, name: &'static str) -> Self {
        let mut trailers = HeaderMap::new();
        trailers.insert(name, HeaderValue::from_static("1"));
        self.left.push_back(Frame::trailers(trailers));
        self
    }

    pub(crate) fn with_error(self) -> Self {
        Self { error: true, ..self }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        assert!(!self.over, "a body is not asked again after its end");
        let frame = self.left.pop_front().map(Ok);
        let frame = frame.or_else(|| std::mem::take(&mut self.error).then(|| Err(io::Error::other("torn"))));
        self.over = matches!(frame, None | Some(Err(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.error
    }

    fn size_hint(&self) -> SizeHint {
        let bytes: usize = self.left.iter().filter_map(Frame::data_ref).map(Bytes::len).sum();
        SizeHint::with_exact(bytes as u64)
    }
}
