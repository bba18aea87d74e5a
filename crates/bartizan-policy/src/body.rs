use bartizan_http::http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Body of an answer of a [`PolicyClient`](crate::PolicyClient): of one shape or the other.
pub struct PolicyBody<X, Y>(Of<X, Y>);

enum Of<X, Y> {
    Hosts(Pin<Box<X>>),
    Endpoints(Pin<Box<Y>>),
}

impl<X, Y> PolicyBody<X, Y> {
    pub(crate) fn hosts(body: X) -> Self {
        Self(Of::Hosts(Box::pin(body)))
    }

    pub(crate) fn endpoints(body: Y) -> Self {
        Self(Of::Endpoints(Box::pin(body)))
    }
}

impl<X, Y> Body for PolicyBody<X, Y>
where
    X: Body,
    Y: Body<Data = X::Data, Error = X::Error>,
{
    type Data = X::Data;
    type Error = X::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<X::Data>, X::Error>>> {
        match &mut self.0 {
            Of::Hosts(body) => body.as_mut().poll_frame(cx),
            Of::Endpoints(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Of::Hosts(body) => body.is_end_stream(),
            Of::Endpoints(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Of::Hosts(body) => body.size_hint(),
            Of::Endpoints(body) => body.size_hint(),
        }
    }
}

/// An empty body.
impl<X: Default, Y> Default for PolicyBody<X, Y> {
    fn default() -> Self {
        Self::hosts(X::default())
    }
}

impl<X, Y> fmt::Debug for PolicyBody<X, Y> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Of::Hosts(_) => "PolicyBody(hosts)",
            Of::Endpoints(_) => "PolicyBody(endpoints)",
        })
    }
}
