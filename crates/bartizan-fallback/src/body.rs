use bartizan_http::bytes::Bytes;
use bartizan_http::http::HeaderMap;
use bartizan_http::http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// Response body of a fallback layer: that of the inner service, untouched, or what took its place.
    pub struct FallbackBody<B> {
        #[pin]
        content: Content<B>,
    }
}

pin_project! {
    #[project = ContentProj]
    enum Content<B> {
        Inner { #[pin] body: B },
        Own { data: Option<Bytes>, trailers: Option<HeaderMap> },
    }
}

impl<B> FallbackBody<B> {
    #[inline]
    pub(crate) const fn inner(body: B) -> Self {
        Self { content: Content::Inner { body } }
    }

    pub(crate) fn own(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self { content: Content::Own { data: (!data.is_empty()).then_some(data), trailers } }
    }
}

impl<B: Body<Data = Bytes>> Body for FallbackBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().content.project() {
            ContentProj::Inner { body } => body.poll_frame(cx),
            ContentProj::Own { data, trailers } => {
                let frame = data.take().map(Frame::data).or_else(|| trailers.take().map(Frame::trailers));
                Poll::Ready(frame.map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Inner { body } => body.is_end_stream(),
            Content::Own { data, trailers } => data.is_none() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Inner { body } => body.size_hint(),
            Content::Own { data, .. } => {
                SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64))
            }
        }
    }
}

impl<B> Default for FallbackBody<B> {
    fn default() -> Self {
        Self::own(Bytes::new(), None)
    }
}

impl<B> fmt::Debug for FallbackBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = matches!(self.content, Content::Own { .. });
        f.debug_struct("FallbackBody").field("own", &own).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_http::http::HeaderValue;
    use std::pin::pin;
    use std::task::Waker;

    #[test]
    fn its_own_content_is_data_and_trailers() {
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
        let mut body = pin!(FallbackBody::<String>::own("abc".into(), Some(trailers.clone())));
        assert_eq!((body.is_end_stream(), body.size_hint().exact()), (false, Some(3)));
        let mut next = || match body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame.map(Result::unwrap),
            Poll::Pending => panic!("it is all there"),
        };
        assert_eq!(next().unwrap().into_data().unwrap(), "abc");
        assert_eq!(next().unwrap().into_trailers().unwrap(), trailers);
        assert!(next().is_none() && body.is_end_stream());
        assert!(FallbackBody::<String>::default().is_end_stream());
    }
}
