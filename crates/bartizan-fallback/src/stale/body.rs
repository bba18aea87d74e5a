use super::ahead::Ahead;
use super::record::Record;
use bartizan_http::bytes::Bytes;
use bartizan_http::http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Response body that is copied while it goes through, or one that was kept.
    ///
    /// It never waits for what its caller has not asked for. The copy is kept before the last frame is yielded, so that who has read the body
    /// to its end finds it there.
    pub struct StaleBody<B: Body> {
        #[pin]
        content: Content<B, B::Error>,
    }
}

pin_project! {
    #[project = ContentProj]
    enum Content<B, E> {
        Inner { #[pin] body: B, record: Option<Box<Record>> },
        // Boxed, as it was polled before it came to its place.
        Ahead { body: Pin<Box<B>>, record: Option<Box<Record>>, ahead: Ahead<E> },
        Kept { data: Bytes },
    }
}

impl<B: Body<Data = Bytes>> StaleBody<B> {
    pub(crate) const fn passing(body: B) -> Self {
        Self { content: Content::Inner { body, record: None } }
    }

    pub(crate) fn recording(body: B, record: Record) -> Self {
        if body.is_end_stream() {
            record.whole();
            return Self::passing(body);
        }
        Self { content: Content::Inner { body, record: Some(Box::new(record)) } }
    }

    /// Reads what is there already, if others may wait for it: who has asked first may be slow to read it.
    pub(crate) fn ahead(self, cx: &mut Context<'_>) -> Self {
        let (body, mut record) = match self.content {
            Content::Inner { body, record: Some(record) } if record.is_awaited() => (body, Some(record)),
            content => return Self { content },
        };
        let (mut body, mut ahead) = (Box::pin(body), Ahead::new());
        ahead.read(body.as_mut(), cx, |frame, is_end| {
            see(frame, is_end, &mut record);
            record.is_some()
        });
        Self { content: Content::Ahead { body, record, ahead } }
    }
}

impl<B: Body> StaleBody<B> {
    pub(crate) const fn kept(data: Bytes) -> Self {
        Self { content: Content::Kept { data } }
    }
}

impl<B: Body> Default for StaleBody<B> {
    fn default() -> Self {
        Self::kept(Bytes::new())
    }
}

impl<B: Body> fmt::Debug for StaleBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.content {
            Content::Inner { record: Some(_), .. } | Content::Ahead { record: Some(_), .. } => "copied",
            Content::Inner { record: None, .. } | Content::Ahead { record: None, .. } => "passing",
            Content::Kept { .. } => "kept",
        };
        f.debug_tuple("StaleBody").field(&state).finish()
    }
}

impl<B: Body<Data = Bytes>> Body for StaleBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let (mut body, record) = match self.project().content.project() {
            ContentProj::Inner { body, record } => (body, record),
            ContentProj::Ahead { body, record, ahead } => match ahead.next() {
                Some(frame) => return Poll::Ready(frame),
                None => (body.as_mut(), record),
            },
            ContentProj::Kept { data } => {
                let data = std::mem::take(data);
                return Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))));
            }
        };
        let frame = ready!(body.as_mut().poll_frame(cx));
        if record.is_some() {
            see(&frame, body.is_end_stream(), record);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Inner { body, .. } => body.is_end_stream(),
            Content::Ahead { body, ahead, .. } => ahead.is_end_stream(body.is_end_stream()),
            Content::Kept { data } => data.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Inner { body, .. } => body.size_hint(),
            Content::Ahead { body, ahead, .. } => ahead.size_hint(&body.size_hint()),
            Content::Kept { data } => SizeHint::with_exact(data.len() as u64),
        }
    }
}

/// Has a record see what comes next, and end with it.
fn see<E>(frame: &Option<Result<Frame<Bytes>, E>>, is_end: bool, slot: &mut Option<Box<Record>>) {
    let Some(mut record) = slot.take() else { return };
    match frame {
        None => record.whole(),
        Some(Err(_)) => record.broken(),
        Some(Ok(frame)) => match frame.data_ref() {
            // Trailers are not kept, and an answer without them is another one.
            None => record.unkept(),
            Some(data) if !record.data(data) => record.unkept(),
            Some(_) if is_end => record.whole(),
            Some(_) => *slot = Some(record),
        },
    }
}
