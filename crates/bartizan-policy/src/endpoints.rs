use crate::document::Members;
use bartizan_balance::Stream;
use bartizan_core::{Change, Member};
use bartizan_http::http::Uri;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::watch;

/// The endpoints that a policy names for a client, as a source of members: first those that there are, and then all of them again whenever
/// they have changed. It ends with the policy, and a balancer then keeps those that it has.
///
/// Made by [`Policy::endpoints`](crate::Policy::endpoints), for [`ClientLayer::discover`](bartizan_stack::ClientLayer::discover) and for
/// balancers over channels of [`ClientLayer::balance`](bartizan_stack::ClientLayer::balance). As long as it lives, a text without
/// endpoints for this client is refused.
pub struct Endpoints {
    /// What is known now.
    known: watch::Receiver<Members>,
    next: Next,
}

type Next = Pin<Box<dyn Future<Output = Option<watch::Receiver<Members>>> + Send + Sync>>;

impl Endpoints {
    pub(crate) fn new(known: watch::Receiver<Members>) -> Self {
        let mut first = known.clone();
        first.mark_changed();
        Self { known, next: Box::pin(changed(first)) }
    }

    /// The endpoints that there are now, for a balancer that is to have them from the first call on: a stream is heard a moment later.
    #[must_use]
    pub fn members(&self) -> Vec<Member<Uri>> {
        self.known.borrow().clone()
    }
}

async fn changed(mut known: watch::Receiver<Members>) -> Option<watch::Receiver<Members>> {
    known.changed().await.is_ok().then_some(known)
}

/// It never fails. Dropping it, polled or not, loses nothing but itself.
impl Stream for Endpoints {
    type Item = Result<Change<Uri>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let ready = std::task::ready!(self.next.as_mut().poll(cx));
        let Some(mut known) = ready else {
            // Asked once more, it ends once more.
            self.next = Box::pin(std::future::ready(None));
            return Poll::Ready(None);
        };
        let members = known.borrow_and_update().clone();
        self.next = Box::pin(changed(known));
        Poll::Ready(Some(Ok(Change::Set(members))))
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoints").field(&*self.known.borrow()).finish()
    }
}
