use crate::call::Call;
use bartizan_http::End;
use bartizan_http::http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Response body that is polled within the span of its call. The span ends with it: at its last frame, at its error, or when it is
    /// dropped.
    pub struct TraceBody<B> {
        #[pin]
        body: B,
        call: Option<Call>,
    }
}

impl<B: Body> TraceBody<B> {
    #[inline]
    pub(crate) fn new(body: B, mut call: Option<Call>) -> Self {
        if body.is_end_stream() {
            finish(&mut call, End::Eof);
        }
        Self { body, call }
    }
}

#[inline]
fn finish(call: &mut Option<Call>, end: End<'_>) {
    if let Some(call) = call.take() {
        call.body_ended(end);
    }
}

impl<B> Body for TraceBody<B>
where
    B: Body,
    B::Error: 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(call) = this.call else { return this.body.poll_frame(cx) };
        let frame = ready!(call.enter(|| this.body.as_mut().poll_frame(cx)));
        match &frame {
            None => finish(this.call, End::Eof),
            Some(Ok(frame)) => match frame.trailers_ref() {
                Some(trailers) => finish(this.call, End::Trailers(trailers)),
                None if this.body.is_end_stream() => finish(this.call, End::Eof),
                None => {}
            },
            Some(Err(error)) => {
                if let Some(call) = this.call.take() {
                    call.failed(error);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Default> Default for TraceBody<B> {
    /// An empty body of no call.
    fn default() -> Self {
        Self { body: B::default(), call: None }
    }
}

impl<B> fmt::Debug for TraceBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceBody").field("call", &self.call).finish_non_exhaustive()
    }
}
