use crate::reason::Reason;
use crate::shared::Shared;
use crate::span::Span;
use crate::timer::LateTimer;
use crate::watch::{Learning, end};
use bartizan_core::{Context, Instant};
use bartizan_http::{grpc_status, refused_grpc_trailers};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// Response body that ends at the deadline of its call.
    ///
    /// In HTTP it then fails with the [`Refused`](bartizan_core::Refused), which the reader sees as a broken body; in gRPC it ends with trailers of
    /// code 4. A frame that is there at the deadline is still yielded, and the last frame whenever it comes. A refusal is such a
    /// body as well.
    pub struct DeadlineBody<B> {
        #[pin]
        content: Content<B>,
    }
}

pin_project! {
    #[project = ContentProj]
    enum Content<B> {
        Full { data: Option<Vec<u8>> },
        Inner { #[pin] body: B, timer: LateTimer, bounds: Bounds },
    }
}

/// What bounds a body, and who hears of its end.
pub(crate) struct Bounds {
    context: Option<Context>,
    idle: Span,
    shared: Option<Arc<Shared>>,
    learning: Learning,
    marks: Marks,
}

/// What a body remembers, in a whole word: bytes that are written one by one and moved together stall the processor.
#[derive(Clone, Copy)]
struct Marks(usize);

impl Marks {
    const GRPC: usize = 1;
    /// The first frame was yielded.
    const BEGUN: usize = 1 << 1;
    /// The reader waits for the next frame, and the timer is set.
    const WAITING: usize = 1 << 2;

    #[inline]
    const fn has(self, mark: usize) -> bool {
        self.0 & mark != 0
    }
}

impl<B: Body> DeadlineBody<B> {
    #[inline(always)]
    pub(crate) fn new(body: B, mut bounds: Bounds) -> Self {
        if body.is_end_stream() {
            bounds.ended();
        }
        Self { content: Content::Inner { body, timer: LateTimer::new(), bounds } }
    }
}

impl<B> DeadlineBody<B> {
    /// Makes the body of a refusal.
    pub(crate) fn full(data: Vec<u8>) -> Self {
        Self { content: Content::Full { data: (!data.is_empty()).then_some(data) } }
    }

    /// Drops the inner body and ends this one by an error, or for gRPC by trailers.
    #[cold]
    fn cut<D>(self: Pin<&mut Self>, reason: Reason) -> Option<Result<Frame<D>, BoxError>> {
        let mut content = self.project().content;
        let ContentProj::Inner { bounds, .. } = content.as_mut().project() else { return None };
        let refused = end(bounds.shared.as_deref(), reason);
        let grpc = bounds.marks.has(Marks::GRPC);
        content.set(Content::Full { data: None });
        Some(if grpc { Ok(Frame::trailers(refused_grpc_trailers(&refused))) } else { Err(refused.into()) })
    }
}

impl Bounds {
    #[inline(always)]
    pub(crate) const fn new(
        context: Option<Context>,
        idle: Span,
        grpc: bool,
        shared: Option<Arc<Shared>>,
        learning: Learning,
    ) -> Self {
        let marks = Marks(if grpc { Marks::GRPC } else { 0 });
        Self { context, idle, shared, learning, marks }
    }

    #[inline(always)]
    fn enter<R>(&self, step: impl FnOnce() -> R) -> R {
        Context::enter_if(self.context, step)
    }

    /// Hears that the body ended as it should; for gRPC that takes trailers.
    #[inline]
    fn ended(&mut self) {
        if !self.marks.has(Marks::GRPC) {
            self.learn();
        }
    }

    #[inline]
    fn learn(&mut self) {
        if let Some(shared) = &self.shared {
            shared.learn(std::mem::replace(&mut self.learning, Span::ENDLESS));
        }
    }

    /// Hears of a frame; says why it comes too late, if it does. The first is never late, so that a short body costs no clock read.
    #[inline]
    fn late<B: Body>(&mut self, frame: &Frame<B::Data>, body: &B) -> Option<Reason> {
        let waited = self.marks.has(Marks::WAITING);
        self.marks.0 &= !Marks::WAITING;
        if let Some(trailers) = frame.trailers_ref() {
            if !self.marks.has(Marks::GRPC) || grpc_status(trailers) == Some(0) {
                self.learn();
            }
            return None;
        }
        if body.is_end_stream() {
            self.ended();
            return None;
        }
        let begun = self.marks.has(Marks::BEGUN);
        self.marks.0 |= Marks::BEGUN;
        let deadline = self.context.and_then(|context| context.deadline()).filter(|_| begun)?;
        (Instant::now() > deadline).then(|| Self::passed(waited))
    }

    /// Who let the deadline pass: the service for which the reader waited, or the reader.
    const fn passed(waited: bool) -> Reason {
        if waited { Reason::Total } else { Reason::Late }
    }

    /// Ready with the reason once the body has to end.
    fn poll_due(&mut self, timer: &mut LateTimer, cx: &mut task::Context<'_>) -> Poll<Reason> {
        let deadline = self.context.and_then(|context| context.deadline());
        let waited = self.marks.has(Marks::WAITING);
        let idle = match (waited, self.idle) {
            (_, Span::ENDLESS) => None,
            (true, _) => timer.at(),
            (false, idle) => idle.after(Instant::now()),
        };
        self.marks.0 |= Marks::WAITING;
        let (at, reason) = match (deadline, idle) {
            (Some(deadline), Some(idle)) if idle < deadline => (idle, Reason::Idle),
            // A deadline that has passed when the reader comes is due at once.
            (Some(deadline), _) => (deadline, Self::passed(waited)),
            (None, Some(idle)) => (idle, Reason::Idle),
            (None, None) => return Poll::Pending,
        };
        timer.poll(at, cx).map(|()| reason)
    }
}

impl<B> Body for DeadlineBody<B>
where
    B: Body,
    B::Data: From<Vec<u8>>,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    #[inline(always)]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let (mut body, timer, bounds) = match self.as_mut().project().content.project() {
            ContentProj::Full { data } => {
                return Poll::Ready(data.take().map(|data| Ok(Frame::data(data.into()))));
            }
            ContentProj::Inner { body, timer, bounds } => (body, timer, bounds),
        };
        let reason = match bounds.enter(
            #[inline(always)]
            || body.as_mut().poll_frame(cx),
        ) {
            Poll::Ready(Some(Ok(frame))) => {
                let Some(reason) = bounds.late(&frame, &*body) else {
                    return Poll::Ready(Some(Ok(frame)));
                };
                reason
            }
            Poll::Ready(Some(Err(error))) => {
                bounds.learning = Span::ENDLESS;
                return Poll::Ready(Some(Err(error.into())));
            }
            Poll::Ready(None) => {
                bounds.ended();
                return Poll::Ready(None);
            }
            Poll::Pending => ready!(bounds.poll_due(timer, cx)),
        };
        Poll::Ready(self.cut(reason))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Full { data } => data.is_none(),
            Content::Inner { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full { data } => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
            Content::Inner { body, bounds, .. } if bounds.marks.has(Marks::GRPC) && !body.is_end_stream() => {
                // It may end early, and well-formed.
                let mut hint = SizeHint::new();
                if let Some(upper) = body.size_hint().upper() {
                    hint.set_upper(upper);
                }
                hint
            }
            Content::Inner { body, .. } => body.size_hint(),
        }
    }
}

impl<B> Default for DeadlineBody<B> {
    /// An empty body.
    fn default() -> Self {
        Self { content: Content::Full { data: None } }
    }
}

impl<B> fmt::Debug for DeadlineBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deadline = match &self.content {
            Content::Full { .. } => None,
            Content::Inner { bounds, .. } => bounds.context.and_then(|context| context.deadline()),
        };
        f.debug_struct("DeadlineBody").field("deadline", &deadline).finish_non_exhaustive()
    }
}
