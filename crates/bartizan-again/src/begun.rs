use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Buf;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

type First<B> = Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>;

pin_project! {
    /// Response body of a layer that sends requests again. Its first frame may have been read already, as that is where the layer
    /// committed itself to this answer; it is yielded as if it had not.
    pub struct Begun<B: Body> {
        #[pin]
        content: Content<B>,
    }
}

pin_project! {
    #[project = ContentProj]
    enum Content<B: Body> {
        Whole { #[pin] body: B },
        // `first` is what a poll has found, which may be the end.
        Peeked { body: Pin<Box<B>>, first: Option<First<B>> },
    }
}

impl<B: Body> Begun<B> {
    /// Makes a body of which nothing was read.
    #[inline]
    pub(crate) const fn whole(body: B) -> Self {
        Self { content: Content::Whole { body } }
    }

    /// Makes a body of which this was read, or nothing.
    pub(crate) const fn peeked(body: Pin<Box<B>>, first: Option<First<B>>) -> Self {
        Self { content: Content::Peeked { body, first } }
    }

    /// The trailers, if they were the first that was read.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        match &self.content {
            Content::Peeked { first: Some(Some(Ok(frame))), .. } => frame.trailers_ref(),
            _ => None,
        }
    }

    /// Whether the body failed before its first frame.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(&self.content, Content::Peeked { first: Some(Some(Err(_))), .. })
    }
}

impl<B: Body> Body for Begun<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().content.project() {
            ContentProj::Whole { body } => body.poll_frame(cx),
            ContentProj::Peeked { body, first } => match first.take() {
                Some(first) => Poll::Ready(first),
                None => body.as_mut().poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole { body } => body.is_end_stream(),
            Content::Peeked { body, first: None } => body.is_end_stream(),
            Content::Peeked { first: Some(first), .. } => first.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole { body } => body.size_hint(),
            Content::Peeked { body, first } => {
                let rest = body.size_hint();
                let Some(Some(Ok(frame))) = first else { return rest };
                let read = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(read));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(read));
                }
                hint
            }
        }
    }
}

impl<B: Body + Default> Default for Begun<B> {
    fn default() -> Self {
        Self::whole(B::default())
    }
}

impl<B: Body> fmt::Debug for Begun<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peeked = matches!(self.content, Content::Peeked { first: Some(_), .. });
        f.debug_struct("Begun").field("peeked", &peeked).finish_non_exhaustive()
    }
}
