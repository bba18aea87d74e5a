use crate::blow::BodyHarm;
use bartizan_http::bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

type BoxError = Box<dyn Error + Send + Sync>;

/// How long after its last byte a truncated body breaks. hyper throws away what it has not sent when a body fails, the head as well.
const LINGER: Duration = Duration::from_millis(5);

pin_project! {
    /// Response body of a [`FaultService`](crate::FaultService): the inner one, or what a fault made of it.
    pub struct FaultBody<B> {
        #[pin]
        content: Content<B>,
    }
}

pin_project! {
    #[project = ContentProj]
    enum Content<B> {
        Passing { #[pin] body: B },
        Full { data: Vec<u8> },
        Broken { linger: Option<Pin<Box<Sleep>>> },
        Truncated { #[pin] body: B, left: usize },
        Dripping { #[pin] body: B, drip: Pin<Box<Drip>> },
    }
}

pin_project! {
    struct Drip {
        bytes: NonZeroUsize,
        pause: Duration,
        #[pin]
        timer: Sleep,
        // What is left of the frame that is being sent.
        rest: Bytes,
    }
}

impl<B> FaultBody<B> {
    #[inline]
    pub(crate) fn passing(body: B) -> Self {
        Self { content: Content::Passing { body } }
    }

    pub(crate) fn full(data: Vec<u8>) -> Self {
        Self { content: Content::Full { data } }
    }

    pub(crate) fn broken() -> Self {
        Self { content: Content::Broken { linger: None } }
    }

    pub(crate) fn harmed(body: B, harm: Option<BodyHarm>) -> Self {
        let content = match harm {
            None => Content::Passing { body },
            Some(BodyHarm::Truncate(left)) => Content::Truncated { body, left },
            Some(BodyHarm::Drip(bytes, pause)) => {
                let drip = Drip { bytes, pause, timer: sleep(pause), rest: Bytes::new() };
                Content::Dripping { body, drip: Box::pin(drip) }
            }
        };
        Self { content }
    }
}

impl<B> Body for FaultBody<B>
where
    B: Body,
    B::Data: From<Vec<u8>>,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut content = self.project().content;
        loop {
            let frame = match content.as_mut().project() {
                ContentProj::Passing { body } => return body.poll_frame(cx).map_err(Into::into),
                ContentProj::Dripping { body, drip } => return drip.as_mut().poll_frame(body, cx),
                ContentProj::Broken { linger } => {
                    if let Some(linger) = linger {
                        ready!(linger.as_mut().poll(cx));
                    }
                    Some(Err(Injected(()).into()))
                }
                ContentProj::Full { data } if data.is_empty() => None,
                ContentProj::Full { data } => Some(Ok(Frame::data(std::mem::take(data).into()))),
                ContentProj::Truncated { body, left } => {
                    match ready!(body.poll_frame(cx)).transpose().map_err(Into::into)? {
                        Some(frame) => match cut(frame, left) {
                            Cut::Whole(frame) => return Poll::Ready(Some(Ok(frame))),
                            Cut::Short(data) => {
                                // At once, or a server would take the inner body's end for the end of this one.
                                let linger = Some(Box::pin(sleep(LINGER)));
                                content.set(Content::Broken { linger });
                                match data {
                                    Some(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                                    None => continue,
                                }
                            }
                        },
                        None => None,
                    }
                }
            };
            if matches!(frame, Some(Err(_)) | None) {
                content.set(Content::Full { data: Vec::new() });
            }
            return Poll::Ready(frame);
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Passing { body } | Content::Truncated { body, .. } => body.is_end_stream(),
            Content::Dripping { body, drip } => drip.rest.is_empty() && body.is_end_stream(),
            Content::Full { data } => data.is_empty(),
            Content::Broken { .. } => false,
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.content {
            // What is promised, and not what comes: that is the fault.
            Content::Passing { body } | Content::Truncated { body, .. } => body.size_hint(),
            Content::Full { data } => SizeHint::with_exact(data.len() as u64),
            Content::Broken { .. } => SizeHint::default(),
            Content::Dripping { body, drip } => {
                let (rest, hint) = (drip.rest.len() as u64, body.size_hint());
                let mut more = SizeHint::new();
                more.set_lower(hint.lower().saturating_add(rest));
                if let Some(upper) = hint.upper().and_then(|upper| upper.checked_add(rest)) {
                    more.set_upper(upper);
                }
                more
            }
        }
    }
}

/// What is left of a frame.
enum Cut<D> {
    Whole(Frame<D>),
    Short(Option<D>),
}

fn cut<D: Buf + From<Vec<u8>>>(frame: Frame<D>, left: &mut usize) -> Cut<D> {
    let mut data = match frame.into_data() {
        Ok(data) => data,
        // Trailers come only when the whole body was short enough.
        Err(trailers) => return Cut::Whole(trailers),
    };
    if data.remaining() <= *left {
        *left -= data.remaining();
        return Cut::Whole(Frame::data(data));
    }
    let bytes = std::mem::take(left);
    Cut::Short((bytes > 0).then(|| data.copy_to_bytes(bytes).to_vec().into()))
}

impl Drip {
    fn poll_frame<B>(
        self: Pin<&mut Self>,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>>
    where
        B: Body,
        B::Data: From<Vec<u8>>,
        B::Error: Into<BoxError>,
    {
        let mut this = self.project();
        loop {
            if !this.rest.is_empty() {
                ready!(this.timer.as_mut().poll(cx));
                this.timer.set(sleep(*this.pause));
                let drop = this.rest.split_to(this.bytes.get().min(this.rest.len()));
                return Poll::Ready(Some(Ok(Frame::data(drop.to_vec().into()))));
            }
            match ready!(body.as_mut().poll_frame(cx)).transpose().map_err(Into::into)?.map(Frame::into_data)
            {
                Some(Ok(mut data)) => *this.rest = data.copy_to_bytes(data.remaining()),
                Some(Err(trailers)) => return Poll::Ready(Some(Ok(trailers))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<B: Default> Default for FaultBody<B> {
    fn default() -> Self {
        Self { content: Content::Passing { body: B::default() } }
    }
}

impl<B> fmt::Debug for FaultBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.content {
            Content::Passing { .. } => "FaultBody(passing)",
            Content::Full { .. } => "FaultBody(full)",
            Content::Broken { .. } => "FaultBody(broken)",
            Content::Truncated { .. } => "FaultBody(truncated)",
            Content::Dripping { .. } => "FaultBody(dripping)",
        })
    }
}

/// The error by which a body ends that a fault has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected(());

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("injected break of the connection")
    }
}

impl Error for Injected {}
