use crate::BoxError;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// A body of any origin: bytes at hand, or another body in a box.
///
/// It is `Send`, `Sync` and `Unpin`, whatever is inside, and reads nothing before it is asked.
#[derive(Default)]
pub struct Body {
    /// Comes before the rest: all of a body of bytes, or what was read ahead.
    ahead: Option<Ahead>,
    /// `Sync` by the mutex, which is never locked to read: that has `&mut`.
    rest: Option<Mutex<Boxed>>,
}

enum Ahead {
    Data(Bytes),
    /// Trailers or an error; boxed as they are large and rare.
    Other(Box<Result<Frame<Bytes>, BoxError>>),
}

type Boxed = Pin<Box<dyn Erased + Send>>;

impl Body {
    /// Boxes a body. One of this type is returned as it is.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        if let Some(own) = (&mut body as &mut dyn Any).downcast_mut::<Option<Self>>() {
            return own.take().unwrap_or_default();
        }
        let rest = body.filter(|body| !body.is_end_stream());
        Self { ahead: None, rest: rest.map(|body| Mutex::new(Box::pin(body) as Boxed)) }
    }

    /// Creates a body without a byte.
    #[must_use]
    pub const fn empty() -> Self {
        Self { ahead: None, rest: None }
    }

    /// Takes the bytes out of a body that is at hand as a whole, so that it can be sent twice. Of a body that tells its
    /// size it may read the first frame to find out.
    ///
    /// # Errors
    ///
    /// The body, where it is not at hand as a whole. It yields all that it would have.
    pub fn into_bytes(mut self) -> Result<Bytes, Self> {
        let sized = http_body::Body::size_hint(&self).exact().is_some();
        if self.ahead.is_none() && sized {
            // Who will not wait may poll without a waker: the next poll, the reader's first one, brings its own.
            if let Poll::Ready(frame) = self.poll_next(&mut Context::from_waker(Waker::noop())) {
                self.ahead = frame.map(Ahead::new);
            }
        }
        if !self.rest_is_at_end() {
            return Err(self);
        }
        match self.ahead {
            None => Ok(Bytes::new()),
            Some(Ahead::Data(data)) => Ok(data),
            other => Err(Self { ahead: other, rest: None }),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.ahead.take() {
            Some(Ahead::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Ahead::Other(frame)) => return Poll::Ready(Some(*frame)),
            None => {}
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let rest = rest.get_mut().unwrap_or_else(PoisonError::into_inner);
        let frame = ready!(rest.as_mut().poll_next(cx));
        if frame.is_none() {
            self.rest = None;
        }
        Poll::Ready(frame)
    }

    fn rest_is_at_end(&self) -> bool {
        self.of_rest(true, |rest| rest.at_end())
    }

    fn of_rest<R>(&self, without: R, ask: impl FnOnce(&dyn Erased) -> R) -> R {
        let Some(rest) = &self.rest else { return without };
        let rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&**rest)
    }
}

impl Ahead {
    fn new(frame: Result<Frame<Bytes>, BoxError>) -> Self {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => Self::Data(data),
            Ok(Err(trailers)) => Self::Other(Box::new(Ok(trailers))),
            Err(error) => Self::Other(Box::new(Err(error))),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.get_mut().poll_next(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.rest_is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.of_rest(SizeHint::with_exact(0), |rest| rest.size());
        let Some(Ahead::Data(ahead)) = &self.ahead else { return rest };
        let ahead = ahead.len() as u64;
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint.set_lower(rest.lower().saturating_add(ahead));
        hint
    }
}

/// A body whose type and error are forgotten.
trait Erased {
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>;
    fn at_end(&self) -> bool;
    fn size(&self) -> SizeHint;
}

impl<B> Erased for B
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        http_body::Body::poll_frame(self, cx).map_err(Into::into)
    }

    fn at_end(&self) -> bool {
        http_body::Body::is_end_stream(self)
    }

    fn size(&self) -> SizeHint {
        http_body::Body::size_hint(self)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = http_body::Body::size_hint(self);
        f.debug_struct("Body").field("at_least", &hint.lower()).field("at_most", &hint.upper()).finish()
    }
}

impl From<Bytes> for Body {
    fn from(data: Bytes) -> Self {
        Self { ahead: (!data.is_empty()).then_some(Ahead::Data(data)), rest: None }
    }
}

impl From<Vec<u8>> for Body {
    fn from(data: Vec<u8>) -> Self {
        Bytes::from(data).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(data: &'static [u8]) -> Self {
        Bytes::from_static(data).into()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Body as _;
    use http_body_util::{BodyExt, Full, StreamBody};
    use std::convert::Infallible;

    fn trickle(data: &'static [&'static str]) -> Body {
        let frames =
            data.iter().map(|data| Ok::<_, Infallible>(Frame::data(Bytes::from_static(data.as_bytes()))));
        Body::new(StreamBody::new(stream::iter(frames)))
    }

    async fn read(body: Body) -> Bytes {
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn bytes_are_yielded_once_and_sized() {
        for (body, ought) in [
            (Body::from("abc"), "abc"),
            (Body::from(b"abc".to_vec()), "abc"),
            (Body::from("abc".to_owned()), "abc"),
            (Body::from(&b"abc"[..]), "abc"),
            (Body::from(""), ""),
            (Body::from(()), ""),
            (Body::default(), ""),
        ] {
            assert_eq!(body.size_hint().exact(), Some(ought.len() as u64));
            assert_eq!(body.is_end_stream(), ought.is_empty());
            assert_eq!(read(body).await, ought);
        }
    }

    #[tokio::test]
    async fn a_body_of_this_type_is_not_boxed_again() {
        assert!(Body::new(Body::from("abc")).rest.is_none());
        assert!(Body::new(Full::new(Bytes::new())).rest.is_none());
        assert_eq!(read(Body::new(trickle(&["a", "b"]))).await, "ab");
    }

    #[tokio::test]
    async fn what_is_at_hand_as_a_whole_is_taken_out() {
        assert_eq!(Body::new(Full::new(Bytes::from("abc"))).into_bytes().unwrap(), "abc");
        assert_eq!(Body::from("abc").into_bytes().unwrap(), "abc");
        assert_eq!(Body::empty().into_bytes().unwrap(), "");
        assert_eq!(read(trickle(&["a"]).into_bytes().unwrap_err()).await, "a");
    }

    /// A body of two frames that tells its size.
    struct Two(Vec<&'static str>);

    impl http_body::Body for Two {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop().map(|data| Ok(Frame::data(data.into()))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0.iter().map(|data| data.len() as u64).sum())
        }
    }

    #[tokio::test]
    async fn a_frame_that_was_read_ahead_still_comes_first() {
        let body = Body::new(Two(vec!["cde", "ab"])).into_bytes().unwrap_err();
        assert!(body.ahead.is_some());
        assert_eq!(body.size_hint().exact(), Some(5));
        assert!(!body.is_end_stream());
        assert_eq!(read(body).await, "abcde");
    }

    #[tokio::test]
    async fn an_error_that_was_read_ahead_still_comes() {
        struct Liar;
        impl http_body::Body for Liar {
            type Data = Bytes;
            type Error = &'static str;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
                Poll::Ready(Some(Err("torn")))
            }
            fn size_hint(&self) -> SizeHint {
                SizeHint::with_exact(3)
            }
        }
        let body = Body::new(Liar).into_bytes().unwrap_err();
        assert_eq!(body.collect().await.unwrap_err().to_string(), "torn");
    }

    #[tokio::test]
    async fn errors_and_trailers_pass() {
        let failing = stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("torn"))]);
        let error = Body::new(StreamBody::new(failing)).collect().await.unwrap_err();
        assert_eq!(error.downcast_ref::<std::io::Error>().unwrap().to_string(), "torn");

        let trailers =
            http::HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
        let ending = stream::iter([Ok::<_, Infallible>(Frame::<Bytes>::trailers(trailers.clone()))]);
        let collected = Body::new(StreamBody::new(ending)).collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
    }

    #[test]
    fn is_sync_and_unpin_whatever_is_inside() {
        fn assert<T: Send + Sync + Unpin + 'static>(_: &T) {}
        let frames = std::cell::Cell::new(Some(Frame::data(Bytes::from_static(b"x"))));
        let not_sync = stream::poll_fn(move |_| Poll::Ready(frames.take().map(Ok::<_, Infallible>)));
        assert(&Body::new(StreamBody::new(not_sync)));
    }
}
