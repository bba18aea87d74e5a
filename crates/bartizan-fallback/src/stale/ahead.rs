use bartizan_http::bytes::Bytes;
use bartizan_http::http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What was read of a body before its caller has asked for it: what was there already when others waited for the whole of it.
pub(crate) struct Ahead<E> {
    frames: VecDeque<Result<Frame<Bytes>, E>>,
    /// Bytes in these.
    bytes: u64,
    is_over: bool,
}

/// Frames that are read ahead of a caller.
const MOST: usize = 64;

impl<E> Ahead<E> {
    pub(crate) const fn new() -> Self {
        Self { frames: VecDeque::new(), bytes: 0, is_over: false }
    }

    /// Reads on, as long as there is something without waiting and `see` wants more.
    pub(crate) fn read<B>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
        mut see: impl FnMut(&Option<Result<Frame<Bytes>, E>>, bool) -> bool,
    ) where
        B: Body<Data = Bytes, Error = E>,
    {
        while self.frames.len() < MOST && !self.is_over {
            let Poll::Ready(frame) = body.as_mut().poll_frame(cx) else { return };
            let more = see(&frame, body.is_end_stream());
            self.is_over = !matches!(frame, Some(Ok(_))) || body.is_end_stream();
            if let Some(Ok(frame)) = &frame {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            self.frames.extend(frame);
            if !more {
                return;
            }
        }
    }

    /// The next frame that was read ahead. `None` if the body has to be asked, `Some(None)` if it is over.
    #[allow(
        clippy::option_option,
        clippy::type_complexity,
        reason = "it is what `Body::poll_frame` yields, if it is known"
    )]
    pub(crate) fn next(&mut self) -> Option<Option<Result<Frame<Bytes>, E>>> {
        let Some(frame) = self.frames.pop_front() else { return self.is_over.then_some(None) };
        if let Ok(frame) = &frame {
            self.bytes -= frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Some(Some(frame))
    }

    pub(crate) fn is_end_stream(&self, is_end: bool) -> bool {
        self.frames.is_empty() && (self.is_over || is_end)
    }

    /// The hint of the body, and what comes before it.
    pub(crate) fn size_hint(&self, rest: &SizeHint) -> SizeHint {
        let is_data = |frame: &Result<Frame<Bytes>, E>| frame.as_ref().is_ok_and(Frame::is_data);
        if self.is_over && self.frames.iter().all(is_data) {
            return SizeHint::with_exact(self.bytes);
        }
        let mut hint = SizeHint::new();
        // What broke off is not to look whole, and trailers come behind no body that has said how long it is.
        if let Some(upper) = rest.upper().filter(|_| !self.is_over) {
            hint.set_upper(upper.saturating_add(self.bytes));
        }
        hint.set_lower(rest.lower().saturating_add(self.bytes));
        hint
    }
}
