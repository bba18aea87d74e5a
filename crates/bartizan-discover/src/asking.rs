use crate::Error;
use bartizan_core::Change;
use http::Uri;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a source yields.
pub(crate) type Found = Result<Change<Uri>, Error>;

/// Somebody who can be asked again and again, and takes its time to answer.
pub(crate) trait Ask: Sized + Send + 'static {
    /// Waits for the next thing to tell.
    fn ask(&mut self) -> impl Future<Output = Found> + Send;
}

/// A stream of the answers of one who is asked. It never ends, and lives in no task: it moves when it is polled.
pub(crate) enum Asking<A> {
    Idle(A),
    Waiting(Pin<Box<dyn Future<Output = (A, Found)> + Send>>),
    /// For the moment between the two.
    Between,
}

impl<A: Ask> Asking<A> {
    /// Changes a setting, as long as nobody asked.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut A)) -> Self {
        if let Self::Idle(asked) = &mut self {
            change(asked);
        }
        self
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Found>> {
        let mut waiting = match std::mem::replace(self, Self::Between) {
            Self::Idle(mut asked) => Box::pin(async move {
                let found = asked.ask().await;
                (asked, found)
            }),
            Self::Waiting(waiting) => waiting,
            // It panicked while it was polled.
            Self::Between => return Poll::Ready(None),
        };
        match waiting.as_mut().poll(cx) {
            Poll::Ready((asked, found)) => {
                *self = Self::Idle(asked);
                Poll::Ready(Some(found))
            }
            Poll::Pending => {
                *self = Self::Waiting(waiting);
                Poll::Pending
            }
        }
    }
}

impl<A: fmt::Debug> fmt::Debug for Asking<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle(asked) => asked.fmt(f),
            Self::Waiting(_) | Self::Between => f.write_str("Asking"),
        }
    }
}

/// Writes the `Stream` of a source whose field `asking` is an [`Asking`].
macro_rules! streams {
    ($source:ty) => {
        impl futures_core::Stream for $source {
            type Item = Result<bartizan_core::Change<http::Uri>, crate::Error>;

            fn poll_next(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                self.get_mut().asking.poll_next(cx)
            }
        }
    };
}
pub(crate) use streams;
