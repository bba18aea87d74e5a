use crate::blow::BodyHarm;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

type BoxError = Box<dyn Error + Send + Sync>;

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
        Broken,
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
        Self { content: Content::Broken }
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
        let frame = match content.as_mut().project() {
            ContentProj::Passing { body } => return body.poll_frame(cx).map_err(Into::into),
            ContentProj::Dripping { body, drip } => return drip.as_mut().poll_frame(body, cx),
            ContentProj::Broken => Some(Err(Injected(()).into())),
            ContentProj::Full { data } if data.is_empty() => None,
            ContentProj::Full { data } => Some(Ok(Frame::data(std::mem::take(data).into()))),
            ContentProj::Truncated { body, left } => {
                match ready!(body.poll_frame(cx)).transpose().map_err(Into::into)? {
                    Some(frame) => match cut(frame, left) {
                        Some(frame) => return Poll::Ready(Some(Ok(frame))),
                        None => Some(Err(Injected(()).into())),
                    },
                    None => None,
                }
            }
        };
        if matches!(frame, Some(Err(_)) | None) {
            content.set(Content::Full { data: Vec::new() });
        }
        Poll::Ready(frame)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Passing { body } | Content::Truncated { body, .. } => body.is_end_stream(),
            Content::Dripping { body, drip } => drip.rest.is_empty() && body.is_end_stream(),
            Content::Full { data } => data.is_empty(),
            Content::Broken => false,
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.content {
            // What is promised, and not what comes: that is the fault.
            Content::Passing { body } | Content::Truncated { body, .. } => body.size_hint(),
            Content::Full { data } => SizeHint::with_exact(data.len() as u64),
            Content::Broken => SizeHint::default(),
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

/// As much of a frame as may pass; none when nothing of it may. The frame after the last byte is the one that breaks.
fn cut<D: Buf + From<Vec<u8>>>(frame: Frame<D>, left: &mut usize) -> Option<Frame<D>> {
    let mut data = match frame.into_data() {
        Ok(data) => data,
        // Trailers come only when the whole body was short enough.
        Err(trailers) => return Some(trailers),
    };
    if data.remaining() <= *left {
        *left -= data.remaining();
        return Some(Frame::data(data));
    }
    let bytes = std::mem::take(left);
    (bytes > 0).then(|| Frame::data(data.copy_to_bytes(bytes).to_vec().into()))
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
                this.timer.as_mut().reset(after(*this.pause));
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

fn after(pause: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(pause).unwrap_or(now)
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
            Content::Broken => "FaultBody(broken)",
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
