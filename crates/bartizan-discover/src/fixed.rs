use bartizan_core::{Change, Member};
use futures_core::Stream;
use http::Uri;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A source that tells one set and stays silent from then on. It has no errors, and does not end.
///
/// A balancer takes a fixed list without it; what needs it is [`Heartbeats`](crate::Heartbeats) of one.
#[derive(Clone, Debug)]
pub struct Fixed {
    set: Option<Vec<Member<Uri>>>,
}

impl Fixed {
    /// Creates a source of these members, given as a `Uri` or a [`Member`] each.
    #[must_use]
    pub fn new<M: Into<Member<Uri>>>(members: impl IntoIterator<Item = M>) -> Self {
        Self { set: Some(members.into_iter().map(Into::into).collect()) }
    }
}

impl Stream for Fixed {
    type Item = Result<Change<Uri>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.set.take() {
            Some(set) => Poll::Ready(Some(Ok(Change::Set(set)))),
            None => Poll::Pending,
        }
    }
}
